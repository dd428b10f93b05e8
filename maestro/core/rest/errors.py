"""Turns every error of a request into `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings

from maestro.core import sql
from maestro.core.errors import Category, DatabaseUnavailable, MaestroError

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="maestro"'

_WHOLE = api_settings.NON_FIELD_ERRORS_KEY
# What RFC 9457 and this API mean by these members no detail of an error may change.
_OWN_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "code", "request_id"})

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
    if sql.is_unavailable(error):
        logger.warning("The database is not available: %s", error)
        error = DatabaseUnavailable()
    if isinstance(error, MaestroError):
        return _answer_own_error(request, error)
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


def answer_bad_request(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """Answer a request that Django refuses before any view sees it."""
    if isinstance(exception, DisallowedHost):
        logger.warning("A request for a host name not in MAESTRO_ALLOWED_HOSTS was refused")
        detail = "This server does not answer to the host name of the request. MAESTRO_ALLOWED_HOSTS lists its names."
        return _answer(request, HTTPStatus.BAD_REQUEST, "host_not_allowed", detail)
    return _answer(request, HTTPStatus.BAD_REQUEST, "bad_request", "The request cannot be read.")


def answer_forbidden(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """Answer a request that Django does not permit."""
    return _answer(request, HTTPStatus.FORBIDDEN, "permission_denied", "You may not do this.")


def answer_not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """Answer a path that nothing serves."""
    return _answer(request, HTTPStatus.NOT_FOUND, "not_found", "Nothing is served under this address.")


def answer_length_required(request: HttpRequest) -> JsonResponse:
    """Answer a body sent without its length."""
    detail = "The body came in chunks, without its length. Send it with the header Content-Length."
    return _answer(request, HTTPStatus.LENGTH_REQUIRED, "length_required", detail)


def answer_server_error(request: HttpRequest) -> JsonResponse:
    """Answer after an unexpected error; what it was stands in the server's log under the request id."""
    detail = "Something went wrong here. The server's log names the request id."
    return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail)


def answer_database_away(request: HttpRequest) -> JsonResponse:
    """Answer a request outside of REST views that found the database away."""
    error = DatabaseUnavailable()
    response = _answer(request, _STATUSES[error.category], error.code, error.message)
    response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _answer(request: HttpRequest, status: HTTPStatus, code: str, detail: str) -> JsonResponse:
    return JsonResponse(problem(request, status, code, detail), status=status, content_type=CONTENT_TYPE)


def _answer_own_error(request: HttpRequest, error: MaestroError) -> Response:
    status, headers = _STATUSES[error.category], {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGE
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    details = {name: value for name, value in error.details.items() if name not in _OWN_MEMBERS}
    body = problem(request, status, error.code, error.message) | details
    return Response(body, status=status, headers=headers, content_type=CONTENT_TYPE)


def _answer_framework_error(request: HttpRequest, error: exceptions.APIException) -> Response:
    status = HTTPStatus(error.status_code)
    headers = {}
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        status = HTTPStatus.UNAUTHORIZED
        headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, exceptions.ValidationError):
        errors = list(_field_errors(error.detail, ()))
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        detail = "; ".join(f"{one['path']}: {one['message']}" for one in errors)
        body = problem(request, status, "invalid_request", detail) | {"errors": errors}
    else:
        code = error.get_codes()
        body = problem(request, status, code if isinstance(code, str) else "error", str(error.detail))
    return Response(body, status=status, headers=headers, content_type=CONTENT_TYPE)


def _field_errors(detail: Any, path: tuple[str, ...]) -> list[dict[str, str | None]]:
    """Flatten the framework's nested messages into one entry per field."""
    if isinstance(detail, Mapping):
        return [
            entry
            for key, value in detail.items()
            for entry in _field_errors(value, path if key == _WHOLE else (*path, str(key)))
        ]
    if isinstance(detail, list):
        return [entry for value in detail for entry in _field_errors(value, path)]
    where = {"path": ".".join(path) or "request", "line": None, "column": None}
    return [where | {"code": str(detail.code), "message": str(detail)}]
