"""The way in: a client of one server. The routes live in `workflows` and `runs` beside it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from maestro.client.pauses import Pauses
from maestro.client.representations import Kind
from maestro.client.runs import Runs
from maestro.client.transport import Transport
from maestro.client.workflows import Workflows


class Client:
    """Talks to one Maestro server in the name of one API key.

    Every method raises a subclass of `ClientError`: `ServerUnreachable`, `ApiError` or `UnexpectedAnswer`. A call
    is tried again for a moment when the server is not there; one that changes something under an idempotency key of its
    own, so that it is done once. Applying, activating and archiving are sent once: sent again, they change nothing.
    """

    def __init__(self, base_url: str, api_key: str, timeout: float = 30) -> None:
        self._transport = Transport(base_url, api_key, timeout=timeout)
        self.workflows = Workflows(self._transport)
        self.runs = Runs(self._transport)
        self.pauses = Pauses(self._transport)

    @property
    def base_url(self) -> str:
        """Return where the server is, without `/api/v1`."""
        return self._transport.base_url

    def list_kinds(self) -> tuple[Kind, ...]:
        """Return the executor kinds the server knows."""
        return tuple(self._transport.get_all("/kinds", Kind))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
