"""Public identifiers: UUIDv7 (RFC 9562), so that rows created together stand together in an index."""

from __future__ import annotations

from uuid import UUID

from uuid_utils import compat


def new_id() -> UUID:
    """Make a new, time-ordered identifier."""
    return compat.uuid7()
