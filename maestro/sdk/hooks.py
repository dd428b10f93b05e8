"""Tasks that run after the tasks of a workflow, by how its run is going to end."""

from __future__ import annotations

from contextlib import AbstractContextManager

from maestro.sdk.building import drawing_section
from workflows.definition.sections import Section


def on_failure() -> AbstractContextManager[None]:
    """Make the tasks that are called inside hooks of a run that is going to fail: `with on_failure(): alert()`.

    They may read every task, and `expression("run.error_message")`, `run.status` and `run.failed_tasks`.
    """
    return drawing_section(Section.ON_FAILURE)


def on_success() -> AbstractContextManager[None]:
    """Make the tasks that are called inside hooks of a run that is going to succeed."""
    return drawing_section(Section.ON_SUCCESS)


def finally_() -> AbstractContextManager[None]:
    """Make the tasks that are called inside hooks of every run, which run last; also when it is cancelled."""
    return drawing_section(Section.FINALLY)
