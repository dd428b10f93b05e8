"""What may be wrong with a workflow written in Python, told where it is written."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from workflows.definition.spec import Identifier

_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


class DefinitionError(Exception):
    """The function cannot become a workflow or a task; the message says why and what to do."""


def check_name(name: str, what: str) -> None:
    """Refuse a name that no task or input can have. Raises DefinitionError, which begins with `what`."""
    try:
        _IDENTIFIER.validate_python(name)
    except ValidationError as error:
        raise DefinitionError(f"{what}: {error.errors()[0]['msg']}") from error


class UnknownUntilRun(DefinitionError):
    """The workflow function asks for a value that exists only when the workflow runs."""

    def __init__(self, text: str, wish: str) -> None:
        super().__init__(
            f"`{text}` has its value only when the workflow runs, so Python cannot {wish}. The workflow function draws "
            "the graph; do this in a task, or write an expression (`if_=`, size(), expression())."
        )
