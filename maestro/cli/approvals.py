"""The commands about decisions: approvals, approve, reject."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from maestro.cli import completing
from maestro.cli.options import Name, RunId, connected, json_option, limit_option

if TYPE_CHECKING:
    from maestro.client import Client, Decision


@click.command("approvals")
@limit_option(20)
@json_option
@connected
def approvals_command(client: Client, limit: int, as_json: bool) -> None:
    """List the tasks that wait for a decision, the oldest first."""
    from maestro.cli import output, text

    approvals = list(islice(client.runs.iterate_approvals(page_size=min(limit, 200)), limit))
    if as_json:
        output.print_json([approval.to_json() for approval in approvals])
        return
    if not approvals:
        click.echo("Nothing waits for a decision.", err=True)
        return
    now = datetime.datetime.now(datetime.UTC)
    output.print_table(
        ("run", "workflow", "task", "since", "escalates", "until", "you may", "message"),
        (
            (
                text.one_line(approval.run),
                text.one_line(approval.workflow),
                text.one_line(approval.task_key),
                text.age(approval.waits_since, now),
                text.timestamp(approval.escalates_at),
                text.timestamp(approval.deadline_at),
                "yes" if approval.may_decide else "no",
                text.one_line(approval.message.strip().partition("\n")[0]),
            )
            for approval in approvals
        ),
    )


def _decision(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command what both decisions take."""
    for decorate in (
        connected,
        json_option,
        click.option(
            "--form",
            "pairs",
            metavar="NAME=VALUE",
            multiple=True,
            help="One answer of the form; repeat it for others. Text as it is, other types as JSON. NAME=@FILE reads a "
            "file, NAME=@- standard input.",
        ),
        click.option("--comment", metavar="TEXT", default="", help="A word to the decision."),
        click.argument(
            "task_key",
            metavar="TASK",
            type=Name("`maestro approvals` lists what waits."),
            shell_complete=completing.complete_tasks,
        ),
        click.argument("run_id", metavar="RUN", type=RunId()),
    ):
        function = decorate(function)
    return function


@click.command("approve")
@_decision
def approve_command(
    client: Client, run_id: str, task_key: str, comment: str, pairs: tuple[str, ...], as_json: bool
) -> None:
    """Approve what TASK of a run asks: it succeeds, and the run goes on.

    \b
    maestro approve RUN TASK --comment "tested on staging" --form reason=release
    """
    form = _read_form(client, run_id, task_key, pairs)
    _tell(client, run_id, task_key, lambda: client.runs.approve(run_id, task_key, comment=comment, form=form), as_json)


@click.command("reject")
@_decision
def reject_command(
    client: Client, run_id: str, task_key: str, comment: str, pairs: tuple[str, ...], as_json: bool
) -> None:
    """Reject what TASK of a run asks: it fails, and is not tried again."""
    form = _read_form(client, run_id, task_key, pairs)
    _tell(client, run_id, task_key, lambda: client.runs.reject(run_id, task_key, comment=comment, form=form), as_json)


def _tell(client: Client, run_id: str, task_key: str, decide: Callable[[], Decision], as_json: bool) -> None:
    from maestro.cli import output, text
    from maestro.cli.runs import naming_task

    with naming_task(client, run_id, task_key):
        decision = decide()
    if as_json:
        output.print_json(decision.to_json())
    else:
        outcome = text.one_line(decision.outcome).capitalize()
        click.echo(f"{outcome} task {text.one_line(decision.task_key)} of run {run_id}.")


def _read_form(client: Client, run_id: str, task_key: str, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Return the answers with the types that the form asks for; of a task that does not wait, as text."""
    from maestro.cli import documents

    if not pairs:
        return {}
    given = documents.read_inputs(pairs, option="--form", noun="Answer")
    for approval in client.runs.iterate_approvals():
        if (approval.run, approval.task_key) == (run_id, task_key):
            return documents.typed_inputs(given, approval.form)
    return dict(given)
