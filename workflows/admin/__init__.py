"""The admin of workflows, versions, runs, task executions and attempts, and its home page."""

from workflows.admin import home, runs, tasks, versions, workflows

__all__ = ["home", "runs", "tasks", "versions", "workflows"]
