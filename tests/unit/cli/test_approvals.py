"""approvals, approve, reject."""

from __future__ import annotations

import json

from tests.unit.cli.builders import END, RUN_ID, START, task_json
from tests.unit.cli.conftest import Maestro
from tests.unit.client.fake_api import FakeApi, problem

WAITING = {
    "run": RUN_ID,
    "workflow": "flights",
    "task_key": "approve",
    "message": "Delete 7 rows?\nReally?",
    "form": {"reason": {"type": "string"}, "urgent": {"type": "boolean"}},
    "approvers": None,
    "is_escalated": False,
    "may_decide": True,
    "waits_since": START,
    "escalates_at": START,
    "deadline_at": END,
    "on_deadline": None,
}
DECIDED = {
    "run": RUN_ID,
    "task_key": "approve",
    "outcome": "approved",
    "by": "ann@example.org",
    "comment": "",
    "form": {},
    "decided_at": END,
}
TASK = f"/workflow-runs/{RUN_ID}/task-executions/approve"


def test_what_waits_is_listed(api: FakeApi, maestro: Maestro):
    api.on_list("/approvals", [WAITING, WAITING | {"task_key": "other", "may_decide": False, "deadline_at": None}])

    lines = maestro("approvals").stdout.splitlines()

    assert lines[0].split() == ["RUN", "WORKFLOW", "TASK", "SINCE", "ESCALATES", "UNTIL", "YOU", "MAY", "MESSAGE"]
    assert lines[1].startswith(f"{RUN_ID}  flights   approve  ")
    assert lines[1].endswith("2026-01-02 03:04:05Z  2026-01-02 03:04:17Z  yes      Delete 7 rows?")
    assert lines[2].endswith("  no       Delete 7 rows?")


def test_list_is_json_for_programs(api: FakeApi, maestro: Maestro):
    api.on_list("/approvals", [WAITING])

    assert json.loads(maestro("approvals", "--json").stdout) == [WAITING]


def test_nothing_that_waits_says_so(api: FakeApi, maestro: Maestro):
    api.on_list("/approvals", [])

    assert maestro("approvals").stderr == "Nothing waits for a decision.\n"


def test_approval_sends_comment_and_answers_with_the_types_of_the_form(api: FakeApi, maestro: Maestro):
    api.on_list("/approvals", [WAITING])
    api.on("POST", f"{TASK}/approve", DECIDED)

    result = maestro("approve", RUN_ID, "approve", "--comment", "fine", "--form", "reason=1", "--form", "urgent=true")

    assert result.stdout == f"Approved task approve of run {RUN_ID}.\n"
    assert api.requests[-1].document == {"comment": "fine", "form": {"reason": "1", "urgent": True}}


def test_rejection_is_sent(api: FakeApi, maestro: Maestro):
    api.on("POST", f"{TASK}/reject", DECIDED | {"outcome": "rejected"})

    result = maestro("reject", RUN_ID, "approve")

    assert result.stdout == f"Rejected task approve of run {RUN_ID}.\n"
    assert api.requests[-1].document == {"comment": "", "form": {}}


def test_answer_that_is_given_twice_is_refused(api: FakeApi, maestro: Maestro):
    result = maestro("approve", RUN_ID, "approve", "--form", "reason=1", "--form", "reason=2")

    assert (result.exit_code, api.requests) == (2, [])
    assert "Answer 'reason' is given twice; give it once." in result.stderr


def test_task_that_does_not_exist_is_answered_by_the_nearest(api: FakeApi, maestro: Maestro):
    api.on_turns("POST", f"{TASK.replace('approve', 'aprove')}/approve", problem(404, "task_not_found", "No."))
    api.on_list(f"/workflow-runs/{RUN_ID}/task-executions", [task_json("approve")])

    result = maestro("approve", RUN_ID, "aprove")

    assert result.exit_code == 1
    assert "The run has no task 'aprove'. Did you mean approve?" in result.stderr


def test_who_may_not_decide_is_told_who_may(api: FakeApi, maestro: Maestro):
    said = "You may not decide this; ann@example.org may."
    api.on_turns("POST", f"{TASK}/approve", problem(403, "not_an_approver", said))

    result = maestro("approve", RUN_ID, "approve")

    assert (result.exit_code, said in result.stderr) == (1, True)
