"""One spelling for each JSON value, and the hash of it by which two versions of a workflow are told apart.

The hash is over the document as authored, without defaults: a new default in the language changes no hash. Key order,
spacing and YAML or JSON make no difference. 1 and 1.0 do: expressions tell a whole number from a decimal one.
"""

from __future__ import annotations

import hashlib
import json

from workflows.definition.values import JsonValue, is_int64


def canonical_json(value: JsonValue) -> str:
    """Write a JSON value with sorted keys and without spaces; a decimal number keeps its fraction, also `.0`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def comparable_json(value: JsonValue) -> str:
    """Write a JSON value so that what JSON Schema calls equal is written alike: 1, 1.0 and 1e0; 0 and -0.0."""
    return canonical_json(_with_one_kind_of_number(value))


def content_hash(value: JsonValue) -> str:
    """Return the SHA-256 of the canonical JSON in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _with_one_kind_of_number(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _with_one_kind_of_number(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_one_kind_of_number(member) for member in value]
    if isinstance(value, float) and value.is_integer() and is_int64(int(value)):
        return int(value)
    return value
