"""Request bodies: strict JSON and YAML text, both bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

# A definition may have 4 MB; written as a JSON string every character of it may be escaped.
MAX_BODY_BYTES = 16 * 1024 * 1024

_LONGEST_INTEGER = 20
_BEYOND_INT64 = 2**64


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 says it: no NaN, no Infinity; and no key twice, of which readers disagree which one counts."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Decode the body. Raises `ParseError`."""
        body = _read(stream)
        try:
            return json.loads(
                body, parse_constant=_refuse_constant, parse_int=_read_integer, object_pairs_hook=_build_object
            )
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


class XYamlTextParser(YamlTextParser):
    """The same under the name YAML had before RFC 9512."""

    media_type = "application/x-yaml"


class TextYamlTextParser(YamlTextParser):
    """The same under another name in use."""

    media_type = "text/yaml"


YAML_PARSERS = (YamlTextParser, XYamlTextParser, TextYamlTextParser)


def _read(stream: IO[bytes]) -> bytes:
    body = stream.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise ParseError(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _read_integer(digits: str) -> int:
    """Read an integer; of one far beyond 64 bits only that it is, because Python refuses to read it."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else _BEYOND_INT64


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise ValueError(f"an object names the key {json.dumps(key)} more than once")
        members[key] = value
    return members
