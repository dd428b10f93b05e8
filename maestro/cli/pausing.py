"""`maestro pause`, `resume` and `pauses`: letting nothing begin for a while, and seeing what keeps something."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click
from click.shell_completion import CompletionItem

from maestro.cli import completing
from maestro.cli.options import RunId, WorkflowName, connected, json_option

if TYPE_CHECKING:
    from maestro.client import Client
    from maestro.client.pauses import PauseTarget
    from maestro.client.representations import Pause

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class RunOrWorkflow(WorkflowName):
    """The id of a run, or a workflow's name."""

    name = "run or workflow"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer workflows and runs of the server."""
        workflows = completing.complete_workflows(ctx, param, incomplete)
        return workflows + completing.complete_runs(ctx, param, incomplete)


def _target_options(command: CommandT) -> CommandT:
    for option in (
        click.option("--all", "everything", is_flag=True, help="All runs of the organization."),
        click.option("--queue", metavar="NAME", help="The organization's tasks in this queue."),
        click.argument("target", metavar="[RUN|WORKFLOW]", required=False, type=RunOrWorkflow()),
    ):
        command = option(command)
    return command


@click.command("pause")
@_target_options
@click.option("--reason", "-m", default="", help="Why, for those who find it paused.")
@json_option
@connected
def pause_command(
    client: Client, target: str | None, queue: str | None, everything: bool, reason: str, as_json: bool
) -> None:
    """Let nothing begin in a run, in all runs of a workflow, in a queue, or at all (--all).

    What runs goes on to its end. Runs that are started meanwhile wait. Times go on: what sleeps or has a limit is due
    as if there were no pause.
    """
    from maestro.cli import output

    wanted = _target(target, queue, everything)
    with _naming(client, wanted):
        paused = client.pauses.pause(wanted, reason=reason)
    if as_json:
        output.print_json(paused.to_json())
        return
    click.echo(f"{_name(paused)} is paused{_by_whom(paused)}. `maestro resume {_argument(paused)}` ends it.")


@click.command("resume")
@_target_options
@json_option
@connected
def resume_command(client: Client, target: str | None, queue: str | None, everything: bool, as_json: bool) -> None:
    """Let go on what is paused, but for what another pause covers."""
    from maestro.cli import output

    wanted = _target(target, queue, everything)
    with _naming(client, wanted):
        resumed = client.pauses.resume(wanted)
    if as_json:
        output.print_json(resumed.to_json())
    else:
        click.echo(f"{_name(resumed)} goes on.")


@click.command("pauses")
@click.option("--run", "run_id", type=RunId(), metavar="RUN", help="Only what keeps something of this run.")
@json_option
@connected
def pauses_command(client: Client, run_id: str | None, as_json: bool) -> None:
    """List what is paused, by whom and why."""
    from maestro.cli import output, text

    pauses = list(client.pauses.iterate(run_id=run_id))
    if as_json:
        output.print_json([paused.to_json() for paused in pauses])
        return
    if not pauses:
        click.echo("Nothing of that run is paused." if run_id else "Nothing is paused.", err=True)
        return
    now = datetime.datetime.now(datetime.UTC)
    output.print_table(
        ("paused", "since", "by", "reason"),
        (
            (
                text.one_line(f"{paused.scope} {paused.run or paused.workflow or paused.queue or ''}".rstrip()),
                text.age(paused.paused_at, now),
                text.one_line(paused.paused_by or ""),
                text.one_line(paused.reason or ""),
            )
            for paused in pauses
        ),
    )


def describe(paused: Pause) -> str:
    """Return a line that says what is paused, by whom and why."""
    from maestro.cli import text

    since = text.timestamp(paused.paused_at)
    reason = f": {text.one_line(paused.reason).rstrip('.')}" if paused.reason else ""
    return f"{_name(paused)} is paused{_by_whom(paused)} since {since}{reason}"


def _target(target: str | None, queue: str | None, everything: bool) -> PauseTarget:
    from maestro.client.pauses import PauseTarget

    if sum((target is not None, queue is not None, everything)) != 1:
        raise click.UsageError("Give one of RUN, WORKFLOW, --queue NAME and --all.")
    if target is None:
        return PauseTarget(queue=queue)
    try:
        return PauseTarget(run_id=str(UUID(target)))
    except ValueError:
        return PauseTarget(workflow=target)


def _naming(client: Client, target: PauseTarget) -> contextlib.AbstractContextManager[None]:
    from maestro.cli.workflows import naming_workflow

    return contextlib.nullcontext() if target.workflow is None else naming_workflow(client, target.workflow)


def _name(paused: Pause) -> str:
    from maestro.cli import text

    if paused.scope == "organization":
        return "Everything"
    name = paused.run or paused.workflow or paused.queue or ""
    return f"{text.one_line(paused.scope).capitalize()} {text.one_line(name)}"


def _argument(paused: Pause) -> str:
    from maestro.cli import text

    if paused.queue:
        return f"--queue {text.one_line(paused.queue)}"
    return text.one_line(paused.run or paused.workflow or "--all")


def _by_whom(paused: Pause) -> str:
    from maestro.cli import text

    return f" by {text.one_line(paused.paused_by)}" if paused.paused_by else ""
