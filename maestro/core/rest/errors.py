"""Turns every error of a request into `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from maestro.core.errors import Category, MaestroError

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

_STATUSES: Mapping[Category, HTTPStatus] = {
    Category.MALFORMED: HTTPStatus.BAD_REQUEST,
    Category.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Category.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Category.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Category.CONFLICT: HTTPStatus.CONFLICT,
    Category.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Category.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


def answer_problem(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an error raised in a REST view; None leaves an unexpected one to Django, which logs it."""
    request = context["request"]
    if isinstance(error, MaestroError):
        status, headers = _STATUSES[error.category], {}
        if status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="maestro"'
        body = problem(request, status, error.code, error.message) | dict(error.details)
        return Response(body, status=status, headers=headers, content_type=CONTENT_TYPE)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _answer_framework_error(request, error)
    return None


def problem(request: HttpRequest, status: HTTPStatus, code: str, detail: str) -> dict[str, Any]:
    """Build the body of a problem."""
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "request_id": str(getattr(request, "request_id", "")),
    }


def answer_not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """Answer a path that nothing serves."""
    body = problem(request, HTTPStatus.NOT_FOUND, "not_found", "Nothing is served under this address.")
    return JsonResponse(body, status=HTTPStatus.NOT_FOUND, content_type=CONTENT_TYPE)


def answer_server_error(request: HttpRequest) -> JsonResponse:
    """Answer after an unexpected error; what it was stands in the server's log under the request id."""
    body = problem(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something went wrong here. Its log names the request id.",
    )
    return JsonResponse(body, status=HTTPStatus.INTERNAL_SERVER_ERROR, content_type=CONTENT_TYPE)


def _answer_framework_error(request: HttpRequest, error: exceptions.APIException) -> Response:
    status = HTTPStatus(error.status_code)
    headers = {}
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        status = HTTPStatus.UNAUTHORIZED
        headers["WWW-Authenticate"] = 'Bearer realm="maestro"'
    if isinstance(error, exceptions.ValidationError):
        errors = list(_field_errors(error.detail, ()))
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        detail = "; ".join(f"{one['path']}: {one['message']}" for one in errors)
        body = problem(request, status, "invalid_request", detail) | {"errors": errors}
    else:
        code = error.get_codes()
        body = problem(request, status, code if isinstance(code, str) else "error", str(error.detail))
    return Response(body, status=status, headers=headers, content_type=CONTENT_TYPE)


def _field_errors(detail: Any, path: tuple[str, ...]) -> list[dict[str, str]]:
    """Flatten the framework's nested messages into one entry per field."""
    if isinstance(detail, Mapping):
        return [entry for key, value in detail.items() for entry in _field_errors(value, (*path, str(key)))]
    if isinstance(detail, list):
        return [entry for value in detail for entry in _field_errors(value, path)]
    return [{"path": ".".join(path) or "request", "code": str(detail.code), "message": str(detail)}]
