"""Inputs that nobody may see: what their schemas mark `writeOnly`. Expressions read them; people read a mask.

Nothing is encrypted here: the values stand in the run's row, and this module hides them wherever they are shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.definition.problems import Path, Problem
from workflows.definition.values import JsonValue

MASK = "••••••"
"""Shown in the place of a secret, however long that is."""
MIN_CHARACTERS = 4
"""Shorter texts are not looked for in others: they would be found everywhere."""
MAX_TEXTS = 500
"""How much one run may have to hide: every text that is shown is searched for each. A private key has fifty lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secret values of one run, to be found in texts."""

    texts: tuple[str, ...]
    """What to hide, the longest first, so that no part of one is left."""

    @classmethod
    def of(cls, schemas: Mapping[str, Any], inputs: Mapping[str, JsonValue]) -> Secrets:
        """Collect the secrets among the inputs of a run: each line of a text, and numbers as they are written."""
        found = {
            text.strip()
            for name, value in inputs.items()
            for secret in _secret_parts(schemas.get(name), value)
            for text in _texts(secret)
        }
        long_enough = (text for text in found if len(text) >= MIN_CHARACTERS)
        return cls(texts=tuple(sorted(long_enough, key=lambda text: (-len(text), text))))

    def hide_in_text(self, text: str) -> str:
        """Return a text with every secret masked."""
        for secret in self.texts:
            text = text.replace(secret, MASK)
        return text

    def hide_in(self, value: JsonValue) -> JsonValue:
        """Return a JSON value with every secret masked in its texts and keys, and numbers that are secret."""
        if not self.texts:
            return value
        if isinstance(value, str):
            return self.hide_in_text(value)
        if isinstance(value, dict):
            return {self.hide_in_text(key): self.hide_in(member) for key, member in value.items()}
        if isinstance(value, list):
            return [self.hide_in(item) for item in value]
        return MASK if _is_number(value) and json.dumps(value) in self.texts else value


def mask_inputs(schemas: Mapping[str, Any], inputs: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the inputs of a run as people may see them."""
    return {name: _mask(schemas.get(name), value) for name, value in inputs.items()}


def is_secret(schema: object) -> bool:
    """Tell whether a schema marks its value as one nobody may see."""
    return isinstance(schema, Mapping) and schema.get("writeOnly") is True


def find_misplaced(schema: JsonValue, path: Path) -> Iterator[Problem]:
    """Yield every `writeOnly` that would hide nothing: one outside the input itself, `properties` and `items`."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        at = (*path, keyword)
        if keyword == "items":
            yield from find_misplaced(value, at)
        elif keyword == "properties":
            for name, member in value.items():
                yield from find_misplaced(member, (*at, name))
        elif keyword not in ("const", "default", "enum", "examples") and marks_secret(value):
            message = "holds a `writeOnly`, which hides values only at an input itself, in `properties` and in `items`"
            yield Problem(code="not_allowed", path=at, message=message)


def find_useless(schema: JsonValue, path: Path) -> Iterator[Problem]:
    """Yield a problem when the schema of something else than an input marks anything `writeOnly`."""
    if marks_secret(schema):
        message = "holds a `writeOnly`, which hides nothing here: only inputs can be secret"
        yield Problem(code="not_allowed", path=path, message=message)


def marks_secret(value: JsonValue) -> bool:
    """Tell whether a schema marks a value as secret, itself or anywhere below."""
    if isinstance(value, dict):
        return is_secret(value) or any(map(marks_secret, value.values()))
    return isinstance(value, list) and any(map(marks_secret, value))


def _mask(schema: JsonValue, value: JsonValue) -> JsonValue:
    if is_secret(schema):
        return MASK
    if isinstance(schema, Mapping) and isinstance(value, list):
        return [_mask(schema.get("items"), item) for item in value]
    if isinstance(schema, Mapping) and isinstance(value, dict):
        members = schema.get("properties", {})
        return {name: _mask(members.get(name), member) for name, member in value.items()}
    return value


def _secret_parts(schema: JsonValue, value: JsonValue) -> Iterator[JsonValue]:
    if is_secret(schema):
        yield value
    elif isinstance(schema, Mapping) and isinstance(value, list):
        for item in value:
            yield from _secret_parts(schema.get("items"), item)
    elif isinstance(schema, Mapping) and isinstance(value, dict):
        members = schema.get("properties", {})
        for name, member in value.items():
            yield from _secret_parts(members.get(name), member)


def _texts(value: JsonValue) -> Iterator[str]:
    """Yield what a secret may look like in a text: itself, and as JSON escapes it."""
    if isinstance(value, str):
        for line in (value, *value.splitlines()):
            yield line
            yield json.dumps(line)[1:-1]
            yield json.dumps(line, ensure_ascii=False)[1:-1]
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)
    elif _is_number(value):
        yield json.dumps(value)


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
