"""What can go wrong with workflows and their runs."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from maestro.core.clock import format_time, say_time
from maestro.core.errors import Category, MaestroError
from workflows.definition.problems import Problem, suggestion


class DefinitionRefused(MaestroError):
    """The definition has problems; each is listed with its place."""

    code = "definition_invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(
            _summary("definition", problems), details={"errors": [problem.as_dict() for problem in problems]}
        )


class InputsRefused(MaestroError):
    """The inputs do not match what the workflow asks for; each problem is listed."""

    code = "inputs_invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(_summary("inputs", problems), details={"errors": [problem.as_dict() for problem in problems]})


class StartTimesRefused(MaestroError):
    """A run cannot begin or end when it is asked to; each problem is listed."""

    code = "start_times_invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(
            "; ".join(problem.unplaced for problem in problems),
            details={"errors": [problem.as_dict() for problem in problems]},
        )


class WorkflowNotFound(MaestroError):
    """No such workflow in the actor's organization."""

    code = "workflow_not_found"
    category = Category.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no workflow {name!r}. `maestro workflows` lists the names.")


class VersionNotFound(MaestroError):
    """The workflow has no version of this number."""

    code = "version_not_found"
    category = Category.NOT_FOUND

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"Workflow {name!r} has no version {number}.")


class WorkflowArchived(MaestroError):
    """An archived workflow starts no runs and takes no versions."""

    code = "workflow_archived"
    category = Category.CONFLICT

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Workflow {name!r} is archived. Apply its definition again to make a new workflow of that name."
        )


class RunNotFound(MaestroError):
    """No such run in the actor's organization."""

    code = "run_not_found"
    category = Category.NOT_FOUND

    def __init__(self) -> None:
        super().__init__("There is no such run, or it is so old that it is not kept. `maestro runs` lists the latest.")


class TaskNotFound(MaestroError):
    """The run has no task of this key."""

    code = "task_not_found"
    category = Category.NOT_FOUND

    def __init__(self, task_key: str) -> None:
        super().__init__(f"The run has no task {task_key!r}.", details={"task_key": task_key})


class RunAlreadyFinished(MaestroError):
    """The run is over, or about to be: nothing can be done to it any more."""

    code = "run_already_finished"
    category = Category.CONFLICT

    def __init__(self, status: str) -> None:
        ended = "been cancelled" if status == "cancelled" else status
        super().__init__(f"The run has {ended} already.", details={"run_status": status})


class QueueNotFound(MaestroError):
    """No worker takes tasks from a queue of this name."""

    code = "queue_not_found"
    category = Category.NOT_FOUND

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no queue {name!r}. There is {', '.join(known)}.", details={"queue": name})


class AlreadyPaused(MaestroError):
    """Somebody else has paused it, and may have another reason: whoever resumes it would end both."""

    code = "already_paused"
    category = Category.CONFLICT

    def __init__(self, *, email: str | None, paused_at: datetime.datetime, reason: str) -> None:
        who = f" by {email}" if email else ""
        why = f": {reason.rstrip('.')}" if reason else ""
        super().__init__(
            f"It is paused already{who} since {say_time(paused_at)}{why}. There is one pause of a thing, which whoever"
            " resumes it ends: agree with who paused it.",
            details={"paused_by": email, "paused_at": format_time(paused_at), "reason": reason or None},
        )


class NotPaused(MaestroError):
    """What is to go on is not paused itself."""

    code = "not_paused"
    category = Category.CONFLICT

    def __init__(self, scope: str, others: Sequence[str]) -> None:
        more = f" Pauses there are: of {', '.join(others)}. `maestro pauses` lists them." if others else ""
        super().__init__(f"The {scope} is not paused.{more}", details={"scope": scope})


class RunIsPaused(MaestroError):
    """The run is paused: nothing in it goes on until somebody resumes it."""

    code = "run_is_paused"
    category = Category.CONFLICT

    def __init__(self) -> None:
        super().__init__("The run is paused: `maestro pauses` says by whom. Resume it first.")


class RunIsEnding(MaestroError):
    """The run is being cancelled or stopped: nothing in it goes on."""

    code = "run_is_ending"
    category = Category.CONFLICT

    def __init__(self) -> None:
        super().__init__("The run is being cancelled or stopped: nothing in it waits any more.")


class SignalUnknown(MaestroError):
    """No task of the run waits for a signal of this name, now or later."""

    code = "signal_unknown"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        names = f"there are {', '.join(known)}" if known else "its workflow has no task of the kind `signal`"
        near = suggestion(name, known) or f"; {names}."
        super().__init__(f"The run waits for no signal {name!r}{near}", details={"signals": list(known)})


class SignalNotAwaited(MaestroError):
    """Every task that waits for such a signal has one already, or is over."""

    code = "signal_not_awaited"
    category = Category.CONFLICT

    def __init__(self, name: str, *, open_tasks: int) -> None:
        left = "no task that waits for it is left" if not open_tasks else "each task that waits for it has one already"
        super().__init__(f"The run takes no further signal {name!r}: {left}.", details={"open_tasks": open_tasks})


class SignalKeyReused(MaestroError):
    """The id of a signal that was sent to the run before, with something else in it."""

    code = "signal_id_reused"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"A signal with the id {key!r} was sent to the run before, with another name or payload. Give each signal"
            " an id of its own.",
            details={"id": key},
        )


class PayloadRefused(MaestroError):
    """The payload does not match the schema of the signal; each problem is listed."""

    code = "payload_invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(_summary("payload", problems), details={"errors": [problem.as_dict() for problem in problems]})


class FormRefused(MaestroError):
    """The answers do not match the form of the approval; each problem is listed."""

    code = "form_invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(_summary("form", problems), details={"errors": [problem.as_dict() for problem in problems]})


class ApprovalNotAwaited(MaestroError):
    """The task does not wait for a decision."""

    code = "approval_not_awaited"
    category = Category.CONFLICT

    def __init__(self, task_key: str, status: str, reason: str | None = None) -> None:
        super().__init__(
            f"The task {task_key!r} does not wait for a decision: it is {status}{f' ({reason})' if reason else ''}. "
            "`maestro approvals` lists what waits.",
            details={"task_status": status},
        )


class AlreadyDecided(MaestroError):
    """Somebody has decided before, or has decided otherwise."""

    code = "already_decided"
    category = Category.CONFLICT

    def __init__(self, *, outcome: str, email: str, decided_at: datetime.datetime) -> None:
        super().__init__(
            f"{email} has decided this already: {outcome}, at {say_time(decided_at)}.",
            details={"outcome": outcome, "by": email, "decided_at": format_time(decided_at)},
        )


class NotAnApprover(MaestroError):
    """The actor is not among those who may decide this."""

    code = "not_an_approver"
    category = Category.FORBIDDEN

    def __init__(self, who_may: str) -> None:
        super().__init__(f"You may not decide this; {who_may} may.")


def _summary(subject: str, problems: Sequence[Problem]) -> str:
    count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
    has = "have" if subject.endswith("s") else "has"
    return f"The {subject} {has} {count}: {problems[0].unplaced}"
