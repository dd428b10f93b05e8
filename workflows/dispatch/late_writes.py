"""Results that come too late: of attempts that were taken back meanwhile. Finish has dropped them; they are noted in
the attempt's history and counted, once (rule 4 of the engine protocol).
"""

from __future__ import annotations

from executors.base import CANCELLED
from maestro.core import sql
from workflows.dispatch.claim import Claim
from workflows.dispatch.finish import Outcome
from workflows.runs.counters import Counter, adding
from workflows.runs.statuses import TaskStatus

# Whoever took the attempt back has left its token in the history: so a finish that was written but not answered, and a
# row that the end of a call has ended before its attempt parked, are told from a late result. A claim without such a
# row, and not the task's own, is one that the database lost with its last asynchronous commits.
_NOTE = f"""
WITH taken_back AS (
    UPDATE task_attempts SET late_status = %(status)s, late_at = clock_timestamp()
    WHERE task_execution_id = %(id)s AND claim_token = %(token)s AND late_at IS NULL
    RETURNING id
), forgotten AS (
    INSERT INTO task_attempts (
        organization_id, task_execution_id, attempt, status, error_code, error_message, claim_token, late_status,
        late_at, worker, started_at
    )
    SELECT organization_id, id, %(attempt)s, 'fenced', 'claim_lost',
           'The database lost the claim of this attempt, whose number another one may have.', %(token)s, %(status)s,
           clock_timestamp(), '', %(started_at)s
    FROM task_executions
    WHERE id = %(id)s AND claim_token IS DISTINCT FROM %(token)s AND NOT %(may_be_written)s
      AND NOT EXISTS (
          SELECT FROM task_attempts WHERE task_execution_id = %(id)s AND claim_token = %(token)s
      )
    ON CONFLICT DO NOTHING
    RETURNING id
), counted AS (
    {adding(Counter.FENCED_WRITES, amount="count(*)", source="(TABLE taken_back UNION ALL TABLE forgotten) late")}
)
SELECT (SELECT count(*) FROM taken_back) + (SELECT count(*) FROM forgotten)
"""


def note_if_late(connection: sql.Connection, claim: Claim, outcome: Outcome, *, may_be_written: bool) -> bool:
    """Note and count a result that finish did not take, if it came too late; tell whether it did.

    `may_be_written` says that an earlier try to finish was not answered, so the result may be the row's already.
    """
    # An attempt that stopped because it was told to ends as a failure.
    status = TaskStatus.CANCELLED if outcome.error_code == CANCELLED.code else outcome.status
    parameters = {
        "id": claim.id,
        "token": claim.claim_token,
        "attempt": claim.attempt,
        "status": status.value,
        "started_at": claim.started_at,
        "may_be_written": may_be_written,
    }
    row = connection.execute(_NOTE, parameters).fetchone()
    return row is not None and row[0] != 0
