"""`maestro run`: start a run of a workflow, or of a definition file after applying it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import click

from maestro.cli import completing
from maestro.cli.options import (
    IdempotencyKey,
    Moment,
    MomentOrSpan,
    Span,
    Target,
    WholeNumber,
    WorkflowName,
    connected,
    json_option,
)

if TYPE_CHECKING:
    from maestro.client import Client, Workflow


@click.command("run")
@click.argument("target", metavar="NAME|FILE", type=Target())
@click.option(
    "--input",
    "-i",
    "pairs",
    metavar="NAME=VALUE",
    multiple=True,
    help="Set one input; repeat it for others. Text as it is, other types as JSON. NAME=@FILE reads a file, "
    "NAME=@- standard input; a bare NAME asks without echo.",
)
@click.option(
    "--inputs-file",
    metavar="FILE",
    shell_complete=completing.complete_files,
    help="Read inputs from a YAML or JSON file; '-' is standard input.",
)
@click.option("--version", type=WholeNumber(1), help="Run this version instead of the active one.")
@click.option("--at", "start_at", type=Moment(), metavar="TIME", help="Begin then: 2030-01-31T08:00:00Z.")
@click.option("--delay", type=Span(), metavar="DURATION", help="Begin after so long: 90s, 5m, 2h or 1d.")
@click.option(
    "--deadline",
    type=MomentOrSpan(),
    metavar="TIME|DURATION",
    help="End the run then, finished or not: a time, or how long after its start.",
)
@click.option(
    "--priority",
    type=click.Choice(["high", "normal", "low"]),
    help="Let workers take its tasks before or after those of other runs. Default: what the workflow says.",
)
@click.option(
    "--idempotency-key",
    "key",
    type=IdempotencyKey(),
    metavar="KEY",
    help="Start one run however often this is called with the same key and inputs within a day.",
)
@click.option("--follow", "-f", is_flag=True, help="Watch the run until it ends; exit 0, 1 or 130 by its outcome.")
@json_option
@connected
def run_command(
    client: Client,
    target: str,
    pairs: tuple[str, ...],
    inputs_file: str | None,
    version: int | None,
    start_at: datetime.datetime | None,
    delay: str | None,
    deadline: str | None,
    priority: str | None,
    key: str | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Start a run of the workflow NAME. With a FILE, apply it first, then run the version it holds.

    \b
    maestro run examples/flight-delays.yaml --follow
    maestro run flight-delays --input late_after=60 --input top=10
    maestro run flight-delays --inputs-file inputs.yaml --json
    maestro run flight-delays --at 2030-01-31T08:00:00Z --deadline 45m
    maestro run backup --input password=@password.txt --priority low
    maestro run flight-delays --idempotency-key "$(date +%F)"
    """
    from maestro.cli import documents, following, output, text
    from maestro.cli.workflows import apply_definition, naming_workflow

    readers = [target == documents.STANDARD_INPUT, inputs_file == documents.STANDARD_INPUT]
    if sum((*readers, *map(documents.reads_standard_input, pairs))) > 1:
        raise click.UsageError("Standard input can be the definition, the inputs or one input, not several of them.")
    if start_at is not None and delay is not None:
        raise click.UsageError("--at and --delay both say when the run begins; give one of them.")
    if documents.is_file_name(target):
        if version is not None:
            raise click.UsageError("--version goes with a workflow's NAME; a FILE runs the version it holds.")
        # Nothing is applied on a command line that is wrong.
        inputs, given = _read_inputs(inputs_file, pairs)
        applied = apply_definition(client, target)
        workflow, version = applied.workflow, applied.workflow.version
        news = "new" if applied.is_new_version else "unchanged"
        if not as_json:
            click.echo(f"Applied {text.one_line(workflow.name)} version {version} ({news}).")
    else:
        name = WorkflowName().convert(target, None, click.get_current_context())
        with naming_workflow(client, name):
            workflow = client.workflows.get(name)
        inputs, given = _read_inputs(inputs_file, pairs)
    inputs |= documents.typed_inputs(given, _input_schemas(client, workflow, version) if given else {})
    started = client.workflows.start_run(
        workflow.name,
        inputs=inputs,
        version=version,
        start_at=start_at,
        delay=delay,
        deadline=deadline,
        priority=priority,
        idempotency_key=key,
    )
    run, was_there = started.run, key is not None and started.was_there
    if not as_json:
        of_workflow = f"of {text.one_line(run.workflow)} version {run.version}"
        if was_there:
            click.echo(f"Run {text.one_line(run.id)} {of_workflow} was there already; none was started.")
        elif run.is_delayed:
            click.echo(f"Run {text.one_line(run.id)} {of_workflow} begins {text.timestamp(run.start_at)}.")
        else:
            click.echo(f"Started run {text.one_line(run.id)} {of_workflow}.")
    if follow:
        following.follow_to_the_end(client, run.id, as_json=as_json)
    elif as_json:
        output.print_json(run.to_json())
    else:
        click.echo(f"Watch it: maestro show {text.one_line(run.id)} --follow")


def _read_inputs(inputs_file: str | None, pairs: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the inputs of the file, and those of the flags as they were written."""
    from maestro.cli import documents

    return documents.read_inputs_file(inputs_file) if inputs_file else {}, documents.read_inputs(pairs)


def _input_schemas(client: Client, workflow: Workflow, version: int | None) -> dict[str, Any]:
    """Return the JSON Schema of each input of the version that will run."""
    if version is None or version == workflow.version:
        return workflow.inputs
    for each in client.workflows.iterate_versions(workflow.name):
        if each.number == version:
            inputs = each.definition.get("inputs")
            return inputs if isinstance(inputs, dict) else {}
    return {}
