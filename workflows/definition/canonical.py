"""One spelling for each JSON value, and the hash of it by which two versions of a workflow are told apart.

The hash is over the document as authored, without defaults: a new default in the language changes no hash. Key order,
spacing and YAML or JSON make no difference, nor does the spelling of a number: JSON knows one kind of number, so 1, 1.0
and 1e0 are the same, and so are 0 and -0.0.
"""

from __future__ import annotations

import hashlib
import json

from workflows.definition.values import JsonValue, is_int64


def canonical_json(value: JsonValue) -> str:
    """Write a JSON value with sorted keys, without spaces, whole numbers without a fraction."""
    return json.dumps(_normalise(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: JsonValue) -> str:
    """Return the SHA-256 of the canonical JSON in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _normalise(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _normalise(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_normalise(member) for member in value]
    if isinstance(value, float) and value.is_integer() and is_int64(int(value)):
        return int(value)
    return value
