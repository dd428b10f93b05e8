"""Request bodies: strict JSON and YAML text, both bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

# A definition may have 4 MB; written as a JSON string every character of it may be escaped.
MAX_BODY_BYTES = 16 * 1024 * 1024


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 says it: no NaN, no Infinity."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Decode the body. Raises `ParseError`."""
        body = _read(stream)
        try:
            return json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error


class YamlTextParser(BaseParser):
    """A YAML document, handed on as text: whoever reads it knows its language."""

    media_type = "application/yaml"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """Decode the body as the text of a definition. Raises `ParseError`."""
        try:
            return {"definition": _read(stream).decode()}
        except UnicodeDecodeError as error:
            raise ParseError(f"The body is not valid UTF-8: {error}") from error


def _read(stream: IO[bytes]) -> bytes:
    body = stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise ParseError(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
