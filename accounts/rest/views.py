"""The base of every REST view: a call that changes something may bring an idempotency key."""

from __future__ import annotations

import logging
from io import BytesIO
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import ParseError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.idempotency import keys
from accounts.idempotency.keys import Answered, Made, Reservation
from accounts.rest.authentication import actor_of
from maestro.core import sql
from maestro.core.errors import MaestroError
from maestro.core.rest.errors import CONTENT_TYPE
from maestro.core.rest.openapi import IDEMPOTENCY_HEADER
from maestro.core.rest.parsers import MAX_BODY_BYTES

logger = logging.getLogger(__name__)

REPLAYED_HEADER = "Idempotency-Replayed"
_LEAST_ERROR = 400
_LEAST_SERVER_ERROR = 500


class _DoneBefore(Exception):
    """The call was done before; what became of it is the answer."""

    def __init__(self, before: Answered | Made) -> None:
        self.before = before


class ApiView(APIView):
    """Does what changes something once per `Idempotency-Key`, and answers each further call as it answered the first.

    The key is looked at once it is known who calls, before the body is read for what it means. An answer of 500 or more
    is not kept: the call may be sent again under the same key.
    """

    reservation: Reservation | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find out who calls, then reserve the key of the call if it has one."""
        super().initial(request, *args, **kwargs)
        key = request.headers.get(IDEMPOTENCY_HEADER)
        if key is None or request.method in SAFE_METHODS:
            return
        fingerprint = keys.fingerprint_of(str(request.method), request.get_full_path(), _read_body(request))
        found = keys.reserve(sql.request_connection(), actor=actor_of(request), key=key, fingerprint=fingerprint)
        if not isinstance(found, Reservation):
            raise _DoneBefore(found)
        self.reservation = found

    def answer_made(self, request: Request, made_id: UUID) -> Response:
        """Answer a call once more whose first answer was lost, by what it made. For views that note what they make."""
        raise NotImplementedError

    def handle_exception(self, exc: Exception) -> Response:
        """Answer a call that was done before, or an error."""
        try:
            if not isinstance(exc, _DoneBefore):
                return super().handle_exception(exc)
            try:
                return self._answer_again(exc.before)
            except MaestroError as error:
                return super().handle_exception(error)
        except Exception:
            self._settle(None)
            raise

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Have the answer kept once it is written."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.reservation is not None and isinstance(response, Response):
            response.add_post_render_callback(self._settle)
        return response

    def _answer_again(self, before: Answered | Made) -> Response:
        answer: Any
        if isinstance(before, Made):
            answer = self.answer_made(self.request, before.made_id)
        else:
            is_error = before.status_code >= _LEAST_ERROR
            answer = HttpResponse(
                before.answer,
                status=before.status_code,
                content_type=CONTENT_TYPE if is_error else "application/json",
            )
        answer.headers[REPLAYED_HEADER] = "true"
        return answer  # type: ignore[no-any-return]  # the framework sends either kind

    def _settle(self, response: HttpResponseBase | None) -> None:
        """Keep the answer; without one, or with one that says that it was not done, give the key back."""
        if self.reservation is None:
            return
        connection = sql.request_connection
        try:
            if isinstance(response, HttpResponse) and response.status_code < _LEAST_SERVER_ERROR:
                keys.keep_answer(
                    connection(),
                    self.reservation,
                    status_code=response.status_code,
                    answer=response.content.decode(),
                )
            else:
                keys.release(connection(), self.reservation)
        except Exception as error:
            if not sql.is_unavailable(error):
                raise
            # What was done is done. Whoever asks again under this key is told to wait, then told what it made.
            logger.warning("The answer of a call with an idempotency key was not kept: %s", type(error).__name__)


def _read_body(request: Request) -> bytes:
    """Return the body, and leave it to be read again. Raises `ParseError`."""
    http = request._request  # noqa: SLF001 - what the framework reads the body from
    if not hasattr(http, "_body"):
        body = http.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise ParseError(f"The body is larger than {MAX_BODY_BYTES} bytes.")
        # As Django itself does, which takes smaller bodies only.
        http._body, http._stream = body, BytesIO(body)  # noqa: SLF001
    return http.body
