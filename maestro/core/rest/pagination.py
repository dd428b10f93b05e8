"""Cursor pagination: `limit` at most 200, `next` and `previous` as URLs."""

from __future__ import annotations

import datetime
from typing import Any

from rest_framework import exceptions
from rest_framework.pagination import BasePagination, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

_BAD_CURSOR = {"cursor": ["This is no cursor of this list. Take it from `next` or `previous` of an answer."]}


class NewestFirstPagination(CursorPagination):
    """Newest first."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering: tuple[str, ...] = ("-created_at", "-id")

    def decode_cursor(self, request: Request) -> Any:
        """Return where to go on. Raises `ValidationError` for what no list gave: it would reach the database."""
        try:
            cursor = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                self.check_position(str(cursor.position))
        except (exceptions.NotFound, ValueError) as error:
            raise exceptions.ValidationError(_BAD_CURSOR) from error
        return cursor

    def check_position(self, position: str) -> None:
        """Raise `ValueError` when a text is no value of the first column of the order."""
        datetime.datetime.fromisoformat(position)


class ByNamePagination(NewestFirstPagination):
    """In order of name."""

    ordering = ("name", "id")

    def check_position(self, position: str) -> None:
        """Raise `ValueError` when a text is no name."""
        if "\0" in position:
            raise ValueError("no name holds a NUL character")


class LatestPausePagination(NewestFirstPagination):
    """The latest pause first."""

    ordering = ("-paused_at", "-id")


class OldestFirstPagination(NewestFirstPagination):
    """In the order rows were written."""

    ordering: tuple[str, ...] = ("id",)

    def check_position(self, position: str) -> None:
        """Raise `ValueError` when a text is no number."""
        int(position)


class NewestNumberPagination(OldestFirstPagination):
    """Highest number first."""

    ordering = ("-number",)


class ByPositionPagination(OldestFirstPagination):
    """In topological order."""

    ordering = ("position", "id")


def answer_page(
    view: APIView, request: Request, paginator: BasePagination, rows: Any, serializer: Any, **context: Any
) -> Response:
    """Answer one page of a list."""
    page = paginator.paginate_queryset(rows, request, view=view)
    answer: Response = paginator.get_paginated_response(serializer(page, many=True, context=context).data)
    return answer
