"""A stored definition in the order in which people write one: the database keeps the members of an object in its own.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from workflows.definition.sections import Section
from workflows.definition.spec import TaskSpec, WorkflowDefinition


def in_reading_order(document: Mapping[str, Any], task_keys: Iterable[str]) -> dict[str, Any]:
    """Return a definition with its members as the language lists them, and its tasks in the order given."""
    keys = list(task_keys)
    sections = {section: _sorted(document[section], keys) for section in Section if section in document}
    ordered: dict[str, Any] = {
        section.value: {key: _sorted(task, _members(TaskSpec)) for key, task in tasks.items()}
        for section, tasks in sections.items()
    }
    return _sorted({**document, **ordered}, _members(WorkflowDefinition))


def _members(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _sorted(value: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Return the mapping with these keys first, in this order, and the others as they were."""
    return {key: value[key] for key in (*(key for key in keys if key in value), *value)}
