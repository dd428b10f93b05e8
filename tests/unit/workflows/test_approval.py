import datetime
from typing import get_args

import pytest
from pydantic import ValidationError

from accounts.permissions.roles import PERMISSIONS, Permission
from executors.base import Wait
from tests.unit.executors.context import FakeContext, make_request
from workflows.parking.approval import (
    ApprovalExecutor,
    ApprovalOptions,
    ApproverRole,
    deadline_of,
    may_decide,
    rejected,
    say_who_may,
    when_due,
)
from workflows.parking.waiting import GoesOn

NOW = datetime.datetime(2030, 1, 31, tzinfo=datetime.UTC)
DETAILS = {
    "approvers": {"roles": ["admin"], "users": ["Ann@example.org"]},
    "deadline_seconds": 7200,
    "on_deadline": None,
    "escalate": {"roles": ["operator"], "users": ["bob@example.org"], "after_seconds": 3600},
    "is_escalated": False,
}
NOTE = "Nobody has decided yet: a member with the role operator or bob@example.org may decide too."
ESCALATED = DETAILS | {"is_escalated": True}
OPEN = DETAILS | {"approvers": None, "escalate": None}


def wait_of(options):
    request = make_request(ApprovalOptions.model_validate_json(options))
    return ApprovalExecutor().execute(request, FakeContext()).waits_for


def test_approval_waits_for_ever_and_leaves_open_who_decides():
    details = {
        "approvers": None,
        "deadline_seconds": None,
        "on_deadline": None,
        "escalate": None,
        "is_escalated": False,
    }

    assert wait_of('{"message": "Go on?"}') == Wait(reason="approval", details=details, message="Go on?")


def test_first_look_is_at_the_escalation():
    wait = wait_of(
        '{"message": "?", "deadline": "2h", "escalate": {"after": "1h", "roles": ["operator"]}, "approvers":'
        ' {"users": ["ann@example.org"]}}'
    )

    assert wait.seconds == 3600
    assert wait.details["escalate"] == {"roles": ["operator"], "users": [], "after_seconds": 3600}
    assert wait.details["approvers"] == {"roles": [], "users": ["ann@example.org"]}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("{}", "message"),
        ('{"message": ""}', "at least 1 character"),
        ('{"message": "?", "on_deadline": "approve"}', "`on_deadline` needs a `deadline`"),
        ('{"message": "?", "approvers": {}}', "needs at least one of `roles` and `users`"),
        ('{"message": "?", "approvers": {"roles": ["boss"]}}', "'owner', 'admin'"),
        ('{"message": "?", "escalate": {"after": "1h"}}', "needs at least one of `roles` and `users`"),
        ('{"message": "?", "escalate": {"roles": ["admin"]}}', "after"),
        (
            '{"message": "?", "deadline": "1h", "escalate": {"after": "1h", "roles": ["admin"]}}',
            "`escalate.after` must be shorter than `deadline`",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(options, problem):
    with pytest.raises(ValidationError, match=problem):
        ApprovalOptions.model_validate_json(options)


def test_roles_that_may_be_named_are_those_that_may_decide_at_all():
    may = {role.value for role, permissions in PERMISSIONS.items() if Permission.DECIDE_APPROVALS in permissions}

    assert set(get_args(ApproverRole)) == may


@pytest.mark.parametrize(
    ("details", "role", "email", "may_cancel", "expected"),
    [
        (DETAILS, "admin", "x@example.org", False, True),
        (DETAILS, "owner", "x@example.org", True, False),
        (DETAILS, "viewer", "ann@Example.org", False, True),
        (DETAILS, "operator", "x@example.org", True, False),
        (ESCALATED, "operator", "x@example.org", False, True),
        (ESCALATED, "viewer", "bob@example.org", False, True),
        (ESCALATED, "admin", "x@example.org", False, True),
        (OPEN, None, "x@example.org", True, True),
        (OPEN, "viewer", "x@example.org", False, False),
        (OPEN | {"escalate": DETAILS["escalate"], "is_escalated": True}, "operator", "", False, True),
    ],
)
def test_who_may_decide(details, role, email, may_cancel, expected):
    assert may_decide(details, role=role, email=email, may_cancel=may_cancel) is expected


def test_who_may_decide_is_said_in_words():
    assert say_who_may(DETAILS) == "a member with the role admin or Ann@example.org"
    assert say_who_may(OPEN) == "whoever may cancel the run"
    several = {"roles": ["owner", "admin"], "users": []}
    assert say_who_may(DETAILS | {"approvers": several}) == "a member with the role owner or admin"
    assert say_who_may(ESCALATED).endswith("or a member with the role operator or bob@example.org")


def test_wait_goes_on_from_its_escalation_to_its_deadline():
    assert when_due(DETAILS, {}, NOW) == GoesOn(details={"is_escalated": True}, seconds=3600, note=NOTE)


def test_wait_without_a_deadline_goes_on_for_ever():
    assert when_due(DETAILS | {"deadline_seconds": None}, {}, NOW).seconds is None


def test_deadline_fails_the_task_unless_it_decides():
    error = when_due(ESCALATED, {}, NOW).error

    assert (error.code, error.message) == ("approval_timeout", "Nobody decided within the 7200 s that the task waits.")
    assert error.is_retryable


def test_deadline_may_approve_with_the_defaults_of_the_form():
    form = {"days": {"type": "integer", "default": 30}}

    result = when_due(ESCALATED | {"on_deadline": "approve"}, {"form": form}, NOW)

    assert result.output == {
        "outcome": "approved",
        "by": None,
        "comment": "",
        "form": {"days": 30},
        "decided_at": "2030-01-31T00:00:00.000000Z",
    }


def test_deadline_may_reject():
    error = when_due(ESCALATED | {"on_deadline": "reject"}, {}, NOW).error

    assert (error.code, error.is_retryable) == ("rejected", False)
    assert error.message == "Rejected because nobody decided until the deadline."


def test_rejection_says_who_and_why():
    assert rejected(by="ann@example.org", comment="no").error.message == "Rejected by ann@example.org: no"
    assert rejected(by="ann@example.org", comment="").error.message == "Rejected by ann@example.org."


@pytest.mark.parametrize(
    ("details", "hours"),
    [(DETAILS, 1), (ESCALATED, 0), (OPEN, 0), (DETAILS | {"deadline_seconds": None}, None)],
)
def test_deadline_is_known_before_and_after_the_escalation(details, hours):
    expected = None if hours is None else NOW + datetime.timedelta(hours=hours)

    assert deadline_of(details, NOW) == expected
