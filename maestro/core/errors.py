"""The base of every error a person may meet; each app's own errors live in its `errors.py`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar


class Category(StrEnum):
    """What kind of refusal an error is; interfaces translate it (REST: `maestro.core.rest.errors`)."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"


class MaestroError(Exception):
    """A fact that stops a request, told to the person who made it.

    A subclass is named for the fact and sets `code` (stable, snake_case) and `category`. The message says what is
    wrong and what to do. `details` are extra members of the answer, JSON values only. `retry_after_seconds` says when
    the same call may do.
    """

    code: ClassVar[str] = "error"
    category: ClassVar[Category] = Category.INVALID
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, message: str, *, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details or {}


class DatabaseUnavailable(MaestroError):
    """The database cannot be reached, or gave up on the call; the same call may do later."""

    code = "unavailable"
    category = Category.UNAVAILABLE
    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__("The database is not available at the moment. Try again in a few seconds.")
