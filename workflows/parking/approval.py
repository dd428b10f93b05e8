"""The kind `approval`: waits until a person decides, without a worker; and who may decide."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from executors.base import JsonValue, Options, TaskContext, TaskError, TaskRequest, TaskResult, Wait
from maestro.core.clock import format_time
from workflows.definition.awaited import form_of
from workflows.definition.input_schema import complete
from workflows.definition.limits import Limit
from workflows.definition.spec import Identifier
from workflows.parking.waiting import GoesOn
from workflows.runs.statuses import Reason

# Those of the roles that may decide at all: `accounts.permissions.roles` has them.
ApproverRole = Literal["owner", "admin", "developer", "operator", "viewer"]


class Outcome(StrEnum):
    """What somebody decided."""

    APPROVED = "approved"
    REJECTED = "rejected"


class Approvers(BaseModel):
    """Who may decide: members with one of the roles, and the users; either suffices."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    roles: tuple[ApproverRole, ...] = Field(default=(), description="Members of the organization with such a role.")
    users: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="E-mail addresses of members of the organization."
    )

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.roles and not self.users:
            raise ValueError("needs at least one of `roles` and `users`, not empty")
        return self


class Escalation(Approvers):
    """Who may decide too, once nobody has for a while."""

    after: Limit = Field(description="For how long nobody has decided, from when the task begins to wait.")


class ApprovalOptions(Options):
    """Options of `approval`: what is asked, of whom, and until when.

    `maestro approvals` lists what waits, `maestro approve` and `maestro reject` decide, and so do
    `POST /api/v1/workflow-runs/{id}/task-executions/{key}/approve` and `…/reject`. The output of an approval says who
    approved it: `{"outcome": "approved", "by": "ann@example.org", "comment": "…", "form": {…}, "decided_at": "…"}`. One
    that is rejected fails as `rejected`, and is not tried again.
    """

    message: str = Field(min_length=1, description="What is asked: the text for those who decide.")
    approvers: Approvers | None = Field(
        default=None,
        description="Who may decide: `roles` (of `owner`, `admin`, `developer`, `operator`, `viewer`), `users` (their "
        "e-mail addresses) or both. Without it, whoever may cancel the run.",
    )
    form: dict[Identifier, dict[str, JsonValue]] = Field(
        default_factory=dict,
        description="What whoever approves has to answer, like the `inputs` of a workflow: name to JSON Schema, "
        "without expressions. The answers are in the output.",
    )
    deadline: Limit | None = Field(
        default=None,
        description="How long to wait at most, such as `2d`. Without it, the task waits as long as it takes.",
    )
    on_deadline: Literal["approve", "reject"] | None = Field(
        default=None,
        description="What the deadline decides. Without it, the task then fails as `approval_timeout`. With `approve`, "
        "each question of the `form` needs a `default`.",
    )
    escalate: Escalation | None = Field(
        default=None,
        description="Who may decide too once nobody has for a while: `after` (such as `4h`), and `roles`, `users` or "
        "both.",
    )

    @model_validator(mode="after")
    def _times_make_sense(self) -> Self:
        if self.on_deadline is not None and self.deadline is None:
            raise ValueError("`on_deadline` needs a `deadline`")
        if self.escalate is not None and self.deadline is not None and self.escalate.after >= self.deadline:
            raise ValueError("`escalate.after` must be shorter than `deadline`")
        return self


class ApprovalExecutor:
    """Asks the engine to wait."""

    kind: ClassVar[str] = "approval"
    summary: ClassVar[str] = "Waits until a person approves or rejects, without holding a worker."
    Options = ApprovalOptions

    def execute(self, request: TaskRequest[ApprovalOptions], context: TaskContext) -> TaskResult:
        """Return the decision as what the attempt waits for."""
        options = request.options
        escalate = options.escalate
        details: dict[str, JsonValue] = {
            "approvers": None if options.approvers is None else _of(options.approvers),
            "deadline_seconds": options.deadline,
            "on_deadline": options.on_deadline,
            "escalate": None if escalate is None else {**_of(escalate), "after_seconds": escalate.after},
            "is_escalated": False,
        }
        context.write_line("Waiting for somebody to approve or reject.", stream="log")
        seconds = options.deadline if escalate is None else escalate.after
        return TaskResult(
            waits_for=Wait(reason=Reason.APPROVAL, seconds=seconds, details=details, message=options.message)
        )


def when_due(
    details: Mapping[str, JsonValue], options: Mapping[str, JsonValue], now: datetime.datetime
) -> TaskResult | GoesOn:
    """Return what becomes of the wait when its time has come: that of its escalation, or its deadline."""
    escalate, deadline = details["escalate"], details["deadline_seconds"]
    if escalate is not None and not details["is_escalated"]:
        seconds = None if deadline is None else deadline - escalate["after_seconds"]
        note = f"Nobody has decided yet: {say_escalation(details)} may decide too."
        return GoesOn(details={"is_escalated": True}, seconds=seconds, note=note)
    if details["on_deadline"] == "approve":
        return approved(by=None, comment="", form=_defaults(options), decided_at=now)
    if details["on_deadline"] == "reject":
        return rejected(by=None, comment="")
    message = f"Nobody decided within the {deadline:g} s that the task waits."
    return TaskResult(error=TaskError(code="approval_timeout", message=message))


def approved(
    *, by: str | None, comment: str, form: Mapping[str, JsonValue], decided_at: datetime.datetime
) -> TaskResult:
    """Return the result of an approval; `by` is None when its deadline decided."""
    output = {
        "outcome": Outcome.APPROVED.value,
        "by": by,
        "comment": comment,
        "form": dict(form),
        "decided_at": format_time(decided_at),
    }
    return TaskResult(output=output)


def rejected(*, by: str | None, comment: str) -> TaskResult:
    """Return the result of a rejection."""
    who = f"by {by}" if by else "because nobody decided until the deadline"
    message = f"Rejected {who}{f': {comment}' if comment else '.'}"
    return TaskResult(error=TaskError(code="rejected", message=message, is_retryable=False))


def approver_lists(details: Mapping[str, JsonValue]) -> list[Mapping[str, JsonValue]]:
    """Return whom a waiting approval names now, in lists of roles and users; none when it leaves that open."""
    lists = [details["approvers"]]
    if details["is_escalated"]:
        lists.append(details["escalate"])
    return [each for each in lists if each is not None]


def may_decide(details: Mapping[str, JsonValue], *, role: str | None, email: str, may_cancel: bool) -> bool:
    """Tell whether somebody with a role and an address may decide; `may_cancel` whether they may cancel the run."""
    if details["approvers"] is None and may_cancel:
        return True
    return any(
        role in each["roles"] or email.lower() in map(str.lower, each["users"]) for each in approver_lists(details)
    )


def say_who_may(details: Mapping[str, JsonValue]) -> str:
    """Return in words who may decide."""
    parts = ["whoever may cancel the run"] if details["approvers"] is None else []
    for each in approver_lists(details):
        parts += [f"a member with the role {' or '.join(each['roles'])}"] if each["roles"] else []
        parts += each["users"]
    return " or ".join(dict.fromkeys(parts))


def say_escalation(details: Mapping[str, JsonValue]) -> str:
    """Return in words who may decide besides, once the escalation has come."""
    return say_who_may({**details, "approvers": details["escalate"], "is_escalated": False})


def escalates_at(details: Mapping[str, JsonValue], wake_at: datetime.datetime | None) -> datetime.datetime | None:
    """Return when others may decide a waiting approval too, given when it is looked at next; None once they may."""
    return None if details["escalate"] is None or details["is_escalated"] else wake_at


def deadline_of(details: Mapping[str, JsonValue], wake_at: datetime.datetime | None) -> datetime.datetime | None:
    """Return when a waiting approval is over, given when it is looked at next."""
    deadline, escalate = details["deadline_seconds"], details["escalate"]
    if deadline is None or wake_at is None:
        return None
    if escalate is None or details["is_escalated"]:
        return wake_at
    return wake_at + datetime.timedelta(seconds=deadline - escalate["after_seconds"])


def _of(approvers: Approvers) -> dict[str, JsonValue]:
    return {"roles": list(approvers.roles), "users": list(approvers.users)}


def _defaults(options: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the answers that a form has by itself."""
    return {
        name: complete(schema, schema["default"]) for name, schema in form_of(options).items() if "default" in schema
    }
