"""The format of API keys and how they are hashed. Pure.

A key reads `mk_<prefix>_<secret>`: the prefix finds the row, the hash of the whole key proves it. The secret holds 256
random bits, so a plain SHA-256 is enough: there is nothing to guess from a dictionary.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

_FORMAT = re.compile(r"mk_([a-z0-9]{12})_[A-Za-z0-9_-]{43}")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """A key at the only moment when it is known."""

    key: str
    """The whole key, to show once."""
    prefix: str
    """What finds its row."""
    hashed_secret: str
    """What is stored."""


def make_api_key() -> NewApiKey:
    """Make a new random key."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    key = f"mk_{prefix}_{secrets.token_urlsafe(32)}"
    return NewApiKey(key=key, prefix=prefix, hashed_secret=hash_api_key(key))


def prefix_of(key: str) -> str | None:
    """Return the prefix of a well-formed key, None for anything else."""
    matched = _FORMAT.fullmatch(key)
    return matched.group(1) if matched else None


def hash_api_key(key: str) -> str:
    """Hash a key for storing or comparing."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_same_hash(one: str, other: str) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(one, other)
