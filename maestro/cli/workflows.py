"""The commands about workflows and their versions: validate, apply, workflows, canvas, activate, archive."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import click

from maestro.cli.options import (
    DefinitionFile,
    WholeNumber,
    WorkflowName,
    WorkflowNotFile,
    connected,
    json_option,
    limit_option,
)

if TYPE_CHECKING:
    from maestro.client import AppliedWorkflow, Client

MOST_NAMES_COMPARED = 1000


@click.command("validate")
@click.argument("file", metavar="FILE", type=DefinitionFile())
@json_option
@connected
def validate_command(client: Client, file: str, as_json: bool) -> None:
    """Check a definition FILE ('-' for standard input) and list everything that is wrong, without applying it."""
    import dataclasses

    from maestro.cli import documents, explanations, output, text

    validation = client.workflows.validate(documents.read_definition(file))
    source = documents.source_name(file)
    if as_json:
        problems = [dataclasses.asdict(problem) for problem in validation.problems]
        output.print_json({"valid": validation.is_valid, "problems": problems})
        if not validation.is_valid:
            click.get_current_context().exit(1)
    elif not validation.is_valid:
        raise explanations.explain_problems(validation.problems, source=source, outcome="", code="definition_invalid")
    else:
        click.echo(f"{text.one_line(source)} is valid.")


@click.command("apply")
@click.argument("file", metavar="FILE", type=DefinitionFile())
@json_option
@connected
def apply_command(client: Client, file: str, as_json: bool) -> None:
    """Make a definition FILE ('-' for standard input) the active version of its workflow."""
    from maestro.cli import output, text

    applied = apply_definition(client, file)
    if as_json:
        output.print_json(applied.workflow.to_json())
        return
    news = "new" if applied.is_new_version else "unchanged"
    click.echo(f"{text.one_line(applied.workflow.name)} version {applied.workflow.version} ({news}).")


@click.command("workflows")
@limit_option(100)
@json_option
@connected
def workflows_command(client: Client, limit: int, as_json: bool) -> None:
    """List the workflows."""
    from maestro.cli import output, text

    workflows = list(islice(client.workflows.iterate(page_size=min(limit, 200)), limit))
    if as_json:
        output.print_json([workflow.to_json() for workflow in workflows])
    elif not workflows:
        click.echo("No workflows yet. `maestro apply FILE` makes one.", err=True)
    else:
        now = datetime.datetime.now(datetime.UTC)
        output.print_table(
            ("name", "version", "tasks", "updated", "description"),
            (
                (
                    text.one_line(workflow.name),
                    f"{workflow.version or '-'}{' archived' if workflow.is_archived else ''}",
                    "" if workflow.task_count is None else f"{workflow.task_count:,}",
                    text.age(workflow.updated_at or workflow.created_at, now),
                    text.one_line((workflow.description or "").strip()),
                )
                for workflow in workflows
            ),
        )


@click.command("canvas")
@click.argument("name", metavar="NAME", type=WorkflowNotFile())
@click.option("--version", type=WholeNumber(1), help="Show this version instead of the active one.")
@json_option
@connected
def canvas_command(client: Client, name: str, version: int | None, as_json: bool) -> None:
    """Show the Celery canvas that the workflow NAME compiles to."""
    from maestro.cli import output, text

    with naming_workflow(client, name):
        canvas = client.workflows.get_canvas(name, version=version)
    if as_json:
        output.print_json(canvas.to_json())
    else:
        click.echo(text.block(canvas.text).rstrip())


@click.command("activate")
@click.argument("name", metavar="NAME", type=WorkflowName())
@click.argument("number", metavar="VERSION", type=WholeNumber(1, missing="`maestro apply` prints the number it gives."))
@json_option
@connected
def activate_command(client: Client, name: str, number: int, as_json: bool) -> None:
    """Make VERSION the active version of the workflow NAME. Runs already started stay on theirs."""
    from maestro.cli import output, text

    with naming_workflow(client, name):
        answer = client.workflows.activate_version(name, number)
    if as_json:
        output.print_json(answer)
    else:
        click.echo(f"{text.one_line(name)} version {number} is active.")


@click.command("archive")
@click.argument("name", metavar="NAME", type=WorkflowName())
@json_option
@connected
def archive_command(client: Client, name: str, as_json: bool) -> None:
    """Archive the workflow NAME: it starts no more runs, and its name is free again."""
    from maestro.cli import output, text

    with naming_workflow(client, name):
        answer = client.workflows.archive(name)
    if as_json:
        output.print_json(answer)
    else:
        click.echo(f"{text.one_line(name)} is archived.")


def apply_definition(client: Client, file: str) -> AppliedWorkflow:
    """Apply a definition file. Raises Failure with every problem in it, ClientError."""
    from maestro.cli import documents, explanations
    from maestro.client import ApiError

    try:
        return client.workflows.apply(documents.read_definition(file))
    except ApiError as error:
        if not error.problems:
            raise
        raise explanations.explain_problems(
            error.problems, source=documents.source_name(file), outcome="Nothing was applied.", code=error.code
        ) from error


@contextmanager
def naming_workflow(client: Client, name: str) -> Iterator[None]:
    """Turn "not found" into a failure that names the nearest workflows."""
    from maestro.cli import explanations, failures, text
    from maestro.client import ClientError

    try:
        yield
    except ClientError as error:
        if not explanations.is_not_found(error):
            raise
        known = [workflow.name for workflow in islice(client.workflows.iterate(page_size=200), MOST_NAMES_COMPARED)]
        if name in known:
            raise
        raise failures.Failure(
            f"There is no workflow '{text.one_line(name)}'.{failures.suggestion(name, known)} "
            "`maestro workflows` lists them.",
            code="workflow_not_found",
        ) from error
