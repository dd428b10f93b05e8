"""Pages of the admin's lists. Counting a million rows takes a second; nobody reads the number."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

MOST_COUNTED = 10_000
"""Rows a list counts, and pages lead to; further back leads a filter."""


class CappedPaginator(Paginator[object]):
    """Counts no further than `MOST_COUNTED`, so that every page of a list costs the same however long the list is."""

    template_name = "accounts/admin/pagination.html"

    @cached_property
    def _counted(self) -> int:
        rows = self.object_list
        assert isinstance(rows, QuerySet)
        return rows.order_by()[: MOST_COUNTED + 1].count()

    @cached_property
    def count(self) -> int:
        """The number of rows, at most `MOST_COUNTED`."""
        return min(self._counted, MOST_COUNTED)

    @property
    def has_more(self) -> bool:
        """Whether there are more rows than were counted."""
        return self._counted > MOST_COUNTED
