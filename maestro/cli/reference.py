"""The commands that answer what one can write in a definition: kinds, schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from maestro.cli.options import connected, json_option

if TYPE_CHECKING:
    from maestro.client import Client, Kind


@click.command("kinds")
@json_option
@connected
def kinds_command(client: Client, as_json: bool) -> None:
    """List the kinds of task that `uses:` can name, with their options; those in brackets may be left out."""
    from maestro.cli import output, text

    kinds = client.list_kinds()
    if as_json:
        output.print_json([kind.to_json() for kind in kinds])
        return
    output.print_table(
        ("kind", "options", "summary"),
        ((text.one_line(kind.kind), _options(kind), text.one_line(kind.summary)) for kind in kinds),
    )


@click.command("schema")
@click.option("--json", is_flag=True, expose_value=False, help="Changes nothing: the schema is JSON.")
def schema_command() -> None:
    """Print the JSON Schema of the definition language, for editors. Needs no server.

    \b
    maestro schema > maestro.schema.json
    # then, as the first line of a definition:
    # yaml-language-server: $schema=maestro.schema.json
    """
    from executors.kinds.errors import BrokenKind
    from executors.kinds.registry import options_models
    from maestro.cli import failures, output, text
    from workflows.definition.schema import workflow_schema

    try:
        models = options_models()
    except BrokenKind as error:
        raise failures.Failure(text.one_line(error), code="broken_kind") from error
    output.print_json(workflow_schema(models))


def _options(kind: Kind) -> str:
    from maestro.cli import text

    properties = kind.options_schema.get("properties")
    required = kind.options_schema.get("required")
    names = list(properties) if isinstance(properties, dict) else []
    needed = [name for name in names if isinstance(required, list) and name in required]
    return " ".join(text.one_line(each) for each in (*needed, *(f"[{name}]" for name in names if name not in needed)))
