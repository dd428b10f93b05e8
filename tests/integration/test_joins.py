"""The join rules in SQL say what the function says, for every rule and every combination of needs."""

import itertools

import pytest
from psycopg.types.json import Jsonb

from maestro.core import sql
from workflows.definition.spec import RunIf
from workflows.runs import joins
from workflows.runs.statuses import Reason, TaskStatus

ENDS = [
    (TaskStatus.RUNNING, "", False),
    (TaskStatus.SUCCEEDED, "", False),
    (TaskStatus.FAILED, "", False),
    (TaskStatus.CANCELLED, "", False),
    (TaskStatus.SKIPPED, Reason.UPSTREAM_FAILED, False),
    (TaskStatus.SKIPPED, Reason.CONDITION, False),
    (TaskStatus.FAILED, "", True),
    (TaskStatus.CANCELLED, "", True),
    (TaskStatus.SKIPPED, Reason.UPSTREAM_FAILED, True),
]
COMBINATIONS = [
    (rule, needs)
    for rule in RunIf
    for count in range(4)
    for needs in itertools.combinations_with_replacement(ENDS, count)
]


@pytest.fixture(scope="module")
def decisions(database):
    """Every combination judged by the SQL fragments, on a temporary table of the same name."""
    connection = sql.engine_connection()
    rows = [
        {"run_id": number, "task_key": "t", "needs": [f"n{i}" for i in range(len(needs))], "run_if": rule}
        for number, (rule, needs) in enumerate(COMBINATIONS)
    ]
    upstream = [
        {"run_id": number, "task_key": f"n{i}", "needs": [], "status": status, "reason": reason}
        | {"continue_on_error": may_fail}
        for number, (_, needs) in enumerate(COMBINATIONS)
        for i, (status, reason, may_fail) in enumerate(needs)
    ]
    with connection.transaction(force_rollback=True):
        connection.execute(
            "CREATE TEMPORARY TABLE task_executions"
            " (run_id int, task_key text, map_index int, needs text[], run_if text, status text, reason text,"
            " continue_on_error boolean, finished_at timestamptz)"
        )
        connection.execute(
            "INSERT INTO task_executions SELECT * FROM jsonb_populate_recordset(NULL::task_executions, %s)",
            (Jsonb(rows + upstream),),
        )
        found = connection.execute(
            f"SELECT t.run_id, {joins.DECISION} FROM task_executions t"
            f" CROSS JOIN LATERAL ({joins.COUNT_NEEDS}) n WHERE t.task_key = 't'"
        ).fetchall()
    return dict(found)


def test_sql_and_function_agree_on_every_combination(decisions):
    expected = {number: joins.decide_join(rule, needs) for number, (rule, needs) in enumerate(COMBINATIONS)}

    assert len(expected) == 1100
    assert decisions == expected


@pytest.mark.parametrize(
    ("rule", "needs", "decision"),
    [
        (RunIf.ALL_SUCCEEDED, "ss", "run"),
        (RunIf.ALL_SUCCEEDED, "sr", None),
        (RunIf.ALL_SUCCEEDED, "fr", None),
        (RunIf.ALL_SUCCEEDED, "sf", "upstream_failed"),
        (RunIf.ALL_SUCCEEDED, "sx", "upstream_skipped"),
        (RunIf.ALL_DONE, "fx", "run"),
        (RunIf.ANY_SUCCEEDED, "sr", "run"),
        (RunIf.ANY_SUCCEEDED, "fx", "upstream_failed"),
        (RunIf.ANY_FAILED, "fr", "run"),
        (RunIf.ANY_FAILED, "ss", "upstream_skipped"),
        (RunIf.NONE_FAILED, "sx", "run"),
        (RunIf.NONE_FAILED, "sf", "upstream_failed"),
        (RunIf.ANY_FAILED, "", "run"),
        (RunIf.ALL_SUCCEEDED, "st", "run"),
        (RunIf.ANY_SUCCEEDED, "tr", "run"),
        (RunIf.NONE_FAILED, "t", "run"),
        (RunIf.ANY_FAILED, "tr", None),
        (RunIf.ANY_FAILED, "t", "upstream_skipped"),
    ],
)
def test_join_rules_say_what_the_documentation_says(rule, needs, decision):
    ends = {"s": ENDS[1], "r": ENDS[0], "f": ENDS[2], "x": ENDS[5], "t": ENDS[6]}

    assert joins.decide_join(rule, [ends[letter] for letter in needs]) == decision
