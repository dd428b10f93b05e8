"""Gives every request an id, which errors, log lines and the answer's header name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from maestro.core.ids import new_id

HEADER = "X-Request-Id"

_current: ContextVar[str] = ContextVar("request_id", default="-")


class RequestIdMiddleware:
    """Sets `request.request_id` and the header of the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with its id."""
        request.request_id = new_id()  # type: ignore[attr-defined]
        token = _current.set(str(request.request_id))  # type: ignore[attr-defined]
        try:
            response = self._get_response(request)
        finally:
            _current.reset(token)
        response[HEADER] = str(request.request_id)  # type: ignore[attr-defined]
        return response


class RequestIdFilter(logging.Filter):
    """Lets every record through, and gives it the id of the request it belongs to, `-` outside of one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add `request_id` to the record."""
        record.request_id = _current.get()
        return True
