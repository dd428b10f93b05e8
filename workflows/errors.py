"""What can go wrong with workflows and their runs."""

from __future__ import annotations

from collections.abc import Sequence

from maestro.core.errors import Category, MaestroError
from workflows.definition.problems import Problem


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
    """The run is over, so it cannot be cancelled."""

    code = "run_already_finished"
    category = Category.CONFLICT

    def __init__(self, status: str) -> None:
        super().__init__(f"The run is already {status}.", details={"run_status": status})


class QueueNotFound(MaestroError):
    """No worker takes tasks from a queue of this name."""

    code = "queue_not_found"
    category = Category.NOT_FOUND

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no queue {name!r}. There is {', '.join(known)}.", details={"queue": name})


class NotPaused(MaestroError):
    """What is to go on is not paused itself."""

    code = "not_paused"
    category = Category.CONFLICT

    def __init__(self, scope: str, others: Sequence[str]) -> None:
        more = f" Pauses there are: of {', '.join(others)}. `maestro pauses` lists them." if others else ""
        super().__init__(f"The {scope} is not paused.{more}", details={"scope": scope})


def _summary(subject: str, problems: Sequence[Problem]) -> str:
    count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
    has = "have" if subject.endswith("s") else "has"
    return f"The {subject} {has} {count}: {problems[0].unplaced}"
