"""Bodies sent in chunks, without their length."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from maestro.core.rest.errors import answer_length_required


class LengthRequiredMiddleware:
    """Refuses a body without a length, which the REST framework takes for none: a run would lose its inputs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, or refuse it."""
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            return answer_length_required(request)
        return self._get_response(request)
