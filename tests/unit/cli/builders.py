"""The smallest valid answers of the API."""

from __future__ import annotations

from typing import Any

from maestro.client import Run, TaskExecution

RUN_ID = "01920000-0000-7000-8000-000000000001"
START = "2026-01-02T03:04:05.000000Z"
END = "2026-01-02T03:04:17.300000Z"


def run_json(status: str = "succeeded", **more: Any) -> dict[str, Any]:
    """Make a run that took 12.3 seconds if it is over."""
    is_over = status not in {"pending", "running"}
    return {
        "id": RUN_ID,
        "workflow": "flights",
        "version": 3,
        "status": status,
        "reason": None,
        "inputs": {},
        "outputs": None,
        "error_message": None,
        "created_at": START,
        "started_at": START,
        "finished_at": END if is_over else None,
        **more,
    }


def task_json(key: str, status: str = "succeeded", *, needs: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Make a task that took 12.3 seconds if it is over and was begun."""
    has_begun = status in {"running", "succeeded", "failed"}
    return {
        "id": key,
        "run": RUN_ID,
        "task_key": key,
        "map_index": None,
        "kind": "shell",
        "status": status,
        "reason": None,
        "attempt": 1 if has_begun else 0,
        "needs": list(needs),
        "started_at": START if has_begun else None,
        "finished_at": END if status in {"succeeded", "failed"} else None,
        **more,
    }


def a_run(status: str = "succeeded", **more: Any) -> Run:
    """Make a run as a value."""
    return Run.model_validate(run_json(status, **more))


def a_task(key: str, status: str = "succeeded", *, needs: tuple[str, ...] = (), **more: Any) -> TaskExecution:
    """Make a task execution as a value."""
    return TaskExecution.model_validate(task_json(key, status, needs=needs, **more))
