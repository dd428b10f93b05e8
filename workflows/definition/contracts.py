"""Whether the output of a task keeps to what its `output:` says. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from workflows.definition.input_schema import check_against
from workflows.definition.values import JsonValue

OUTPUT_REFUSED = "output_refused"


def find_breach(schema: Mapping[str, JsonValue] | None, output: JsonValue) -> str | None:
    """Return every way in which an output breaks its contract, as one text; None when it keeps to it."""
    problems = [] if schema is None else check_against(schema, output, ("output",))
    return "; ".join(str(problem) for problem in problems) or None
