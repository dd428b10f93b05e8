"""Keeps what is wrong with one run from stopping the sweep over all."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from uuid import UUID

from maestro.core import sql

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def run_of(run_id: UUID) -> Iterator[None]:
    """Log what goes wrong with this run and go on with the next; only a database that is away ends the sweep."""
    try:
        yield
    except Exception as error:
        if isinstance(error, sql.UNAVAILABLE) and not sql.is_victim(error):
            raise
        logger.exception("Run %s could not be recovered, the sweep goes on", run_id)
