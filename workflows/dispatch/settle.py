"""Settle: the one statement by which the end of a call ends the task that waits for it (rule 4b of the protocol)."""

from __future__ import annotations

import logging

from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from executors.base import TaskResult
from maestro.core import sql
from workflows.catalog import cache
from workflows.definition.secrets import Secrets
from workflows.dispatch import advance, retry
from workflows.dispatch.finish import outcome_of
from workflows.dispatch.messages import CallRef
from workflows.dispatch.publish import RunRef

logger = logging.getLogger(__name__)

# Guard, re-checked under the row lock: status, and generation and tries, which together are the call. A call may end
# before its attempt has parked: then the row is still `running`, and the attempt's own finish will change nothing. A
# failure under `hold = 2` is the cancellation somebody asked for.
_FENCE = """
    t.run_id = %(run_id)s AND t.organization_id = %(organization_id)s
    AND t.task_key = %(task_key)s AND t.map_index IS NOT DISTINCT FROM %(map_index)s
    AND t.status || '' IN ('running', 'waiting') AND t.generation = %(generation)s AND t.tries = %(tries)s
"""
_SETTLE = f"""
UPDATE task_executions AS t
SET status = CASE WHEN t.hold = 2 AND %(status)s = 'failed' THEN 'cancelled' ELSE %(status)s END,
    reason = CASE WHEN t.hold = 2 AND %(status)s = 'failed' THEN 'stopped' ELSE '' END,
    tries = t.tries + CASE WHEN %(status)s = 'failed' THEN 1 ELSE 0 END,
    output = %(output)s,
    error_code = %(error_code)s,
    error_message = %(error_message)s,
    wake_at = NULL,
    finished_at = clock_timestamp()
WHERE {_FENCE}
"""
_PARK_FOR_RETRY = retry.statement(_FENCE)
_RUN = "SELECT workflow_version_id, inputs FROM workflow_runs WHERE id = %s AND organization_id = %s"


def settle(connection: sql.Connection, ref: CallRef, result: TaskResult) -> bool:
    """End the task whose call has ended, or park it until its next attempt; tell whether it was this that did.

    After an end it looks at what follows, also when nothing changed: a first try may have been written and not
    answered.
    """
    task = ref.task
    with sql.cursor(connection, tuple_row) as cursor:
        found = cursor.execute(_RUN, (task.run_id, task.organization_id)).fetchone()
    if found is None:
        logger.warning("Ignored the end of a call of run %s, which does not exist", task.run_id)
        return False
    version_id, inputs = found
    version = cache.get_version(connection, version_id)
    outcome = outcome_of(result, version, task.task_key, ref.tries)
    parameters = {
        "run_id": task.run_id,
        "organization_id": task.organization_id,
        "task_key": task.task_key,
        "map_index": task.map_index,
        "generation": task.generation,
        "tries": ref.tries,
        "status": outcome.status.value,
        "output": None if outcome.output is None else Jsonb(outcome.output),
        "error_code": outcome.error_code,
        "error_message": Secrets.of(version.definition.inputs, inputs).hide_in_text(outcome.error_message),
    }
    if outcome.retry is not None and retry.park(connection, _PARK_FOR_RETRY, parameters, outcome.retry) is not None:
        return True
    is_settled = connection.execute(_SETTLE, parameters).rowcount == 1
    if not is_settled:
        logger.info("Ignored the end of a call of task %s of run %s: nothing waits for it", task.task_key, task.run_id)
    run = RunRef(run_id=task.run_id, organization_id=task.organization_id)
    advance.advance_from(connection, run, version, [task.task_key])
    return is_settled
