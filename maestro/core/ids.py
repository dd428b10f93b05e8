"""Public identifiers: UUIDv7 (RFC 9562), so that rows created together stand together in an index."""

from __future__ import annotations

from uuid import UUID

from uuid_utils import compat


def new_id() -> UUID:
    """Make a new, time-ordered identifier."""
    return compat.uuid7()


def parse_id(text: str) -> UUID | None:
    """Read an identifier; None when the text is none, for what goes by a name as well."""
    try:
        return UUID(text)
    except ValueError:
        return None
