"""Cursor pagination: `limit` at most 200, `next` and `previous` as URLs."""

from __future__ import annotations

from rest_framework.pagination import CursorPagination


class NewestFirstPagination(CursorPagination):
    """Newest first."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering: tuple[str, ...] = ("-created_at", "-id")


class ByNamePagination(NewestFirstPagination):
    """In order of name."""

    ordering = ("name", "id")


class OldestFirstPagination(NewestFirstPagination):
    """In the order rows were written."""

    ordering = ("id",)


class NewestNumberPagination(NewestFirstPagination):
    """Highest number first."""

    ordering = ("-number",)


class ByPositionPagination(NewestFirstPagination):
    """In topological order."""

    ordering = ("position", "id")
