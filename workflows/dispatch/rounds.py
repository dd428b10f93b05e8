"""Looks at a part of many rows at a time, and goes round them again and again: what a look costs is bounded however
many rows there are; only how soon it finds something depends on that.
"""

from __future__ import annotations

import datetime
from typing import Generic, TypeVar
from uuid import UUID

from psycopg.rows import BaseRowFactory, tuple_row

from maestro.core import sql

ROWS_PER_LOOK = 10_000
LOWEST_ID, HIGHEST_ID = UUID(int=0), UUID(int=2**128 - 1)
BEGINNING, END = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (1, 9999))

Key = TypeVar("Key")
Row = TypeVar("Row")


class Rounds(Generic[Key]):
    """Rounds through all rows of some sort in the order of a key, a part at each look.

    Where a beat stands in them is its own affair: another one may stand elsewhere.
    """

    def __init__(self, rows: str, *, key: str, lowest: Key, highest: Key, rows_per_look: int = ROWS_PER_LOOK) -> None:
        """Go through `rows`, a table with a condition, which an index has in the order of `key`.

        Every key is above `lowest`, and none is above `highest`.
        """
        self._boundary = f"SELECT {key} FROM {rows} AND {key} > %(after)s ORDER BY {key} OFFSET %(rows)s LIMIT 1"
        self._lowest, self._highest = lowest, highest
        self._rows_per_look = rows_per_look
        self._after = lowest

    @property
    def is_new(self) -> bool:
        """Whether the next look begins a round."""
        return self._after == self._lowest

    def look(
        self,
        connection: sql.Connection,
        statement: str,
        row_factory: BaseRowFactory[Row],
        *,
        limit: int,
        **given: object,
    ) -> list[Row]:
        """Return what a statement finds among the next rows: those with a key above `after` and not above `to`.

        The next look goes on behind these, unless the statement found as many as `limit` allows: there may be more.
        """
        part = {"after": self._after, "rows": self._rows_per_look}
        with sql.cursor(connection, tuple_row) as cursor:
            boundary = cursor.execute(self._boundary, part).fetchone()
        to: Key = self._highest if boundary is None else boundary[0]
        with sql.cursor(connection, row_factory) as cursor:
            found = cursor.execute(statement, {"after": self._after, "to": to, "limit": limit, **given}).fetchall()
        if len(found) < limit:
            self._after = self._lowest if boundary is None else to
        return found
