"""What expressions see while a run goes on: its inputs, its tasks, itself and the platform."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings

from maestro.core.clock import format_time


def make_scope(
    *,
    inputs: Mapping[str, Any],
    tasks: Mapping[str, Any],
    run_id: UUID,
    workflow_name: str,
    created_at: datetime.datetime,
    outcome: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the variables of the expressions of a run; `tasks` holds those that the expressions name, `outcome` what
    hooks see of their run besides.
    """
    facts = {"id": str(run_id), "workflow": workflow_name, "created_at": format_time(created_at)}
    return {
        "inputs": inputs,
        "tasks": tasks,
        "run": facts | dict(outcome or {}),
        "platform": {"url": settings.MAESTRO_PUBLIC_URL},
    }
