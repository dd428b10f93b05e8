"""The database connection of a request, which gives up on a server that hangs: whoever asked gets an answer."""

from __future__ import annotations

from typing import TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.connection import _WAIT_INTERVAL
from psycopg.errors import _WaitTimeout

Answer = TypeVar("Answer")

# No statement of a request takes so long but one that waits for somebody's lock, or a server that stands still while
# its machine still acknowledges what it is sent, so that no time limit of the network helps.
STATEMENT_SECONDS = 10.0


class BoundedConnection(psycopg.Connection[tuple[object, ...]]):
    """A connection that closes itself, and raises `psycopg.OperationalError`, when an answer stays out for too long.

    Whether the statement was done is unknown then, as whenever a connection is lost.
    """

    def wait(self, gen: PQGen[Answer], interval: float = _WAIT_INTERVAL, timeout: float | None = None) -> Answer:
        """Wait for what the server answers, `STATEMENT_SECONDS` at most unless another `timeout` is given."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, STATEMENT_SECONDS)
        except _WaitTimeout as error:
            self.close()
            raise psycopg.OperationalError(f"the server did not answer within {STATEMENT_SECONDS:g} s") from error
