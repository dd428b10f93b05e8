"""What can go wrong between a client and the API. How it is told to a person at a terminal lives in `maestro.cli`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RETRYABLE_STATUSES = frozenset({502, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with what was sent."""

    message: str
    """What is wrong and how to put it right."""
    path: str = ""
    """Where in the document, for example `tasks.clean.needs[0]`; empty for the document itself."""
    code: str = ""
    """Stable snake_case code."""
    line: int | None = None
    """1-based line of the YAML text, when the server knows it."""
    column: int | None = None
    """1-based column of the YAML text, when the server knows it."""

    @classmethod
    def from_json(cls, value: object) -> Problem:
        """Read one member of `errors` or `problems`; what is missing or malformed is left empty."""
        if not isinstance(value, Mapping):
            return cls(message=str(value))
        return cls(
            message=str(value.get("message") or ""),
            path=str(value.get("path") or ""),
            code=str(value.get("code") or ""),
            line=_positive(value.get("line")),
            column=_positive(value.get("column")),
        )


class ClientError(Exception):
    """Base of every error the client raises on purpose."""


class InvalidConnection(ClientError):
    """The base URL or the API key cannot be used at all; nothing was sent."""


class ServerUnreachable(ClientError):
    """No answer came from the server."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"No answer from Maestro at {url}: {reason}. Start it with `maestro up`, "
            "or set MAESTRO_URL to where it listens."
        )
        self.url = url
        self.reason = reason


class UnexpectedAnswer(ClientError):
    """Something answered, but not as Maestro's API does."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url} did not answer as Maestro's API does: {reason}. Set MAESTRO_URL to where it listens.")
        self.url = url
        self.reason = reason


class ApiError(ClientError):
    """The API refused a request (RFC 9457 problem)."""

    def __init__(
        self,
        *,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        request_id: str | None = None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        super().__init__(f"{status} {code}: {detail or title}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.request_id = request_id
        self.problems = problems

    @classmethod
    def from_answer(cls, status: int, reason: str, body: bytes) -> ApiError:
        """Read an error answer; one that is no problem document still gives its status."""
        document = _object(body)
        errors = document.get("errors")
        return cls(
            status=status,
            code=str(document.get("code") or f"http_{status}"),
            title=str(document.get("title") or reason or f"HTTP {status}"),
            detail=str(document.get("detail") or ""),
            request_id=str(document["request_id"]) if document.get("request_id") else None,
            problems=tuple(Problem.from_json(each) for each in errors) if isinstance(errors, list) else (),
        )

    @property
    def is_temporary(self) -> bool:
        """Tell whether the same request may succeed later: the server was only unavailable, or is still at it."""
        return self.status in RETRYABLE_STATUSES or self.code == "request_in_progress"


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
