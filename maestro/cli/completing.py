"""What Tab offers where a name belongs: of files, profiles, and by the API of workflows, runs and tasks.

Quiet whatever goes wrong: a message would be printed into the line that is being typed.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from maestro.cli import configuration, profiles, text

if TYPE_CHECKING:
    from maestro.client import Client, Run

MOST_OFFERED = 100
MOST_LOOKED_AT = 1000
ANSWER_SECONDS = 1.0

Items = list[CompletionItem]


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Let the shell complete the name of a file."""
    return [CompletionItem(incomplete, type="file")]


def complete_profiles(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer the profiles there are."""
    try:
        names = profiles.list_profiles(os.environ)
    except profiles.ConfigurationError:
        return []
    return _beginning(incomplete, (CompletionItem(name) for name in names))


def complete_workflows(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer the workflows of the server."""
    return _ask(
        ctx,
        incomplete,
        lambda client: (
            CompletionItem(workflow.name, help=text.one_line(workflow.description or ""))
            for workflow in client.workflows.iterate()
        ),
    )


def complete_targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer workflows, or files where none begins so."""
    return complete_workflows(ctx, param, incomplete) or complete_files(ctx, param, incomplete)


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer the latest runs of the server."""
    now = datetime.datetime.now(datetime.UTC)
    return _ask(
        ctx,
        incomplete,
        lambda client: (CompletionItem(run.id, help=_run_help(run, now)) for run in client.runs.iterate()),
    )


def complete_tasks(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Offer the tasks of the run that is typed already."""
    run_id = str(ctx.params.get("run_id") or "")
    return _ask(
        ctx,
        incomplete,
        lambda client: (
            CompletionItem(task.task_key, help=task.status) for task in client.runs.iterate_task_executions(run_id)
        ),
    )


def _ask(ctx: click.Context, incomplete: str, question: Callable[[Client], Iterable[CompletionItem]]) -> Items:
    """Return what a server answers that begins with what is typed, or nothing."""
    from maestro.client import Client, ClientError

    given = {name: ctx.params.get(name) for name in ("url", "home", "profile")}
    try:
        connection = configuration.resolve_connection(**given, environment=os.environ, directory=Path.cwd())
        with Client(connection.url, connection.api_key, ANSWER_SECONDS) as client:
            return _beginning(incomplete, islice(question(client), MOST_LOOKED_AT))[:MOST_OFFERED]
    except (profiles.ConfigurationError, ClientError):
        return []


def _beginning(incomplete: str, items: Iterable[CompletionItem]) -> Items:
    return [item for item in items if item.value.startswith(incomplete)]


def _run_help(run: Run, now: datetime.datetime) -> str:
    return text.one_line(f"{run.workflow} {run.status} {text.age(run.created_at, now)}")
