"""The sections of a definition that hold tasks: the run's own, and the hooks that run after them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any


class Section(StrEnum):
    """Which mapping of a definition a task stands in."""

    TASKS = "tasks"
    ON_FAILURE = "on_failure"
    ON_SUCCESS = "on_success"
    FINALLY = "finally"


HOOKS = (Section.ON_FAILURE, Section.ON_SUCCESS, Section.FINALLY)

_AFTER_TASKS = {"failed": Section.ON_FAILURE, "succeeded": Section.ON_SUCCESS}


def next_section(section: Section, outcome: str, present: Collection[Section]) -> Section | None:
    """Return the hooks that follow when a section of a run with this outcome has ended; None when the run ends.

    After the run's own tasks those for the outcome, of which a cancelled run has none; `finally` always, and last.
    """
    if section is Section.FINALLY:
        return None
    following = [_AFTER_TASKS.get(outcome), Section.FINALLY] if section is Section.TASKS else [Section.FINALLY]
    return next((hooks for hooks in following if hooks in present), None)


def find_task(definition: Mapping[str, Any], task_key: str) -> Mapping[str, Any]:
    """Return a task of a definition as it was written, whichever section it stands in."""
    task: Mapping[str, Any] = next(
        definition[section][task_key] for section in Section if task_key in definition.get(section, {})
    )
    return task
