"""Records every API request: who, which route, how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.actor import Actor
from accounts.audit.recorder import recorder
from accounts.models import ApiRequest

API_PREFIX = "/api/v1/"
UNKNOWN_ROUTE = "unknown"


class ApiRequestMiddleware:
    """Hands each answered API request to the recorder."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, then record it."""
        if not request.path.startswith(API_PREFIX):
            return self._get_response(request)
        started = time.perf_counter()
        response = self._get_response(request)
        recorder.add(_record(request, response, time.perf_counter() - started))
        return response


def _record(request: HttpRequest, response: HttpResponse, seconds: float) -> ApiRequest:
    actor = getattr(request, "auth", None)
    known = actor if isinstance(actor, Actor) else None
    match = request.resolver_match
    return ApiRequest(
        organization_id=known.organization_id if known else None,
        user_id=known.user_id if known else None,
        api_key_id=known.api_key_id if known else None,
        method=(request.method or "")[:10],
        endpoint=f"/{match.route}"[:200] if match else UNKNOWN_ROUTE,
        status_code=response.status_code,
        duration_seconds=seconds,
        client_address=request.META.get("REMOTE_ADDR") or None,
        request_id=request.request_id,  # type: ignore[attr-defined]
        created_at=timezone.now(),
    )
