"""The kind `http`: one request to a web service. Which servers may be reached is decided in `executors.outgoing`."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, ClassVar, Literal, NoReturn
from urllib.parse import urlencode

from django.conf import settings
from pydantic import AfterValidator, Field

from executors.base import (
    CANCELLED,
    MAX_OUTPUT_BYTES,
    JsonValue,
    Options,
    TaskContext,
    TaskError,
    TaskRequest,
    TaskResult,
)
from executors.kinds import polling
from executors.kinds.http_statuses import Statuses, status_ranges
from executors.kinds.polling import Poll
from executors.kinds.values import ScalarText, write_scalar
from executors.outgoing.addresses import AllowedHosts
from executors.outgoing.connection import Policy
from executors.outgoing.errors import OutgoingCancelled, OutgoingFailed
from executors.outgoing.exchange import Answer, OutgoingRequest, describe_status, fetch
from executors.outgoing.link import run_linked
from executors.outgoing.urls import Url
from maestro.core.durations import Duration

MAX_SECONDS = 3600.0
_EXCERPT_CHARACTERS = 2_000
# Without these a request may be repeated at will.
_UNKEYED_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_RETRYABLE_STATUSES = frozenset({408, 425, 429})
_OF_THE_CONNECTION = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# Python's own notations, which no web page is written in; some take hours for a megabyte.
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})


def _check_url(text: str) -> str:
    Url.parse(text)
    return text


def _check_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("is no name of a header: letters, digits and - only")
    if name.lower() in _OF_THE_CONNECTION or name.lower().startswith("proxy-"):
        raise ValueError("is set by the platform, which speaks for the connection")
    return name


def _check_header_value(value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError("has a line break, a control character or one beyond Latin-1, which no header may have")
    return value


def _check_parameter(value: JsonValue) -> JsonValue:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, (str, int, float)) for item in items):  # true and false are integers to Python
        raise ValueError("should be text, a number, true or false, or a list of them")
    return value


def _check_seconds(value: float) -> float:
    if not 0 < value <= MAX_SECONDS:
        raise ValueError("should be longer than 0 and at most 1h")
    return value


HeaderName = Annotated[str, AfterValidator(_check_header_name)]
HeaderValue = Annotated[ScalarText, AfterValidator(_check_header_value)]
Parameter = Annotated[JsonValue, AfterValidator(_check_parameter)]
Timeout = Annotated[Duration, AfterValidator(_check_seconds)]


class HttpOptions(Options):
    """Options of `http`.

    The task's output is `{"status": 200, "headers": {…}, "body": …}`: header names in lower case; the body is the
    value of a JSON answer, the text of any other, null of an empty one. A status that is not expected fails the
    task, and the beginning of the answer goes to the task's log.

    Only public addresses can be reached, unless the operator lists others in `MAESTRO_HTTP_ALLOWED_HOSTS`; a stack
    started by `maestro up` may also reach its own API, at `${{ platform.url }}`. Up to 5 redirects are followed, each
    checked like the first URL, none from https to http; to another origin only headers without credentials go on.
    """

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = Field(
        default="GET", description="The request's method."
    )
    url: Annotated[str, AfterValidator(_check_url)] = Field(
        description="Where to: `http://` or `https://`, without user and password."
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict,
        description="Headers to send. Unless given here, `Content-Type` follows from the body, and methods that "
        "change something carry an `Idempotency-Key`, the same for every attempt of the task.",
    )
    query: dict[str, Parameter] = Field(
        default_factory=dict,
        description="Parameters to add to the URL: text, numbers, true or false, or a list of them to repeat one.",
    )
    body: JsonValue = Field(
        default=None, description="What to send: a text as it is, any other value as JSON; null sends nothing."
    )
    expect: Statuses = Field(
        default="2xx",
        description="The statuses that count as success: one such as `404`, a range such as `2xx` or `200-204`, or a "
        "list of them. A redirect that is listed is not followed.",
    )
    timeout: Timeout = Field(
        default=30.0, description="The most that a request may take, redirects included: `30s`; at most `1h`."
    )
    poll: Poll | None = Field(
        default=None, description="Asks again until the answer says what it should, without a worker in between."
    )


class HttpExecutor:
    """Sends one request and returns the answer."""

    kind: ClassVar[str] = "http"
    summary: ClassVar[str] = "Calls a web service over HTTP and returns status, headers and body."
    Options = HttpOptions

    def execute(self, request: TaskRequest[HttpOptions], context: TaskContext) -> TaskResult:
        """Send the request within its time limit, looking out for a cancel, and read what comes back."""
        options = request.options
        expected = status_ranges(options.expect) + (options.poll.statuses() if options.poll is not None else [])

        def is_expected(status: int) -> bool:
            return any(status in statuses for statuses in expected)

        try:
            outgoing = _outgoing(options, request.idempotency_token)
            policy = _policy()
            answer = run_linked(
                lambda link: fetch(
                    outgoing,
                    policy=policy,
                    link=link,
                    is_expected=is_expected,
                    max_bytes=MAX_OUTPUT_BYTES,
                    note=lambda line: None if request.resumed else context.write_line(line, stream="log"),
                ),
                seconds=options.timeout,
                is_cancelled=context.is_cancelled,
            )
            if not is_expected(answer.status):
                return TaskResult(error=_unexpected(answer, options, context))
            output = _output(answer)
            if options.poll is None:
                return TaskResult(output=output)
            return polling.judge(
                options.poll,
                output,
                asked=f"{answer.method} {answer.url}",
                retry_after=_retry_after(answer.headers),
                resumed=request.resumed,
                context=context,
            )
        except OutgoingCancelled:
            return TaskResult(error=CANCELLED)
        except OutgoingFailed as failure:
            error = TaskError(code=failure.code, message=failure.message, is_retryable=failure.is_retryable)
            return TaskResult(error=error)


def _policy() -> Policy:
    origin = Url.parse(settings.MAESTRO_PUBLIC_URL).origin if settings.MAESTRO_IS_EMBEDDED else None
    return Policy(allowed=AllowedHosts.parse(settings.MAESTRO_HTTP_ALLOWED_HOSTS), platform_origin=origin)


def _outgoing(options: HttpOptions, idempotency_token: str) -> OutgoingRequest:
    """Put the request together."""
    url = Url.parse(options.url)
    if options.query:
        added = urlencode([(name, text) for name, value in options.query.items() for text in _texts(value)])
        url = url.with_query("&".join(filter(None, (url.query, added))))
    headers = {"user-agent": "maestro-conductor"}
    body: bytes | None = None
    if isinstance(options.body, str):
        headers["content-type"], body = "text/plain; charset=utf-8", options.body.encode()
    elif options.body is not None:
        headers["content-type"], body = "application/json", json.dumps(options.body, ensure_ascii=False).encode()
    if options.method not in _UNKEYED_METHODS:
        headers["idempotency-key"] = idempotency_token
    headers |= {name.lower(): value for name, value in options.headers.items()}
    return OutgoingRequest(method=options.method, url=url, headers=headers, body=body)


def _texts(value: JsonValue) -> list[str]:
    """Return what a parameter is given, once for each time it is repeated."""
    return [str(write_scalar(item)) for item in (value if isinstance(value, list) else [value])]


def _unexpected(answer: Answer, options: HttpOptions, context: TaskContext) -> TaskError:
    expected = options.expect if isinstance(options.expect, (int, str)) else ", ".join(map(str, options.expect))
    excerpt = answer.body[: 4 * _EXCERPT_CHARACTERS].decode(errors="replace")[:_EXCERPT_CHARACTERS]
    if excerpt.strip():
        context.write_line(excerpt, stream="log", level="warning")
    return TaskError(
        code="unexpected_status",
        message=f"{answer.method} {answer.url} answered {describe_status(answer.status)}; expected was {expected}.",
        is_retryable=answer.status in _RETRYABLE_STATUSES or answer.status >= 500,
        retry_after=_retry_after(answer.headers),
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110, 10.2.3), None where it does not say or not clearly.

    A date is measured from the answer's own `Date`, so that no clock of ours matters.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        wanted, answered = (parsedate_to_datetime(value) for value in (text, headers.get("date", "")))
        return max(0.0, (wanted - answered).total_seconds())
    except (TypeError, ValueError):  # not a date, or one of them without its zone
        return None


def _output(answer: Answer) -> dict[str, JsonValue]:
    """Return the task's output. Raises OutgoingFailed where the body is not what it says it is."""
    where = f"{answer.method} {answer.url}"
    if answer.is_cut:
        message = f"{where}: the body is larger than {MAX_OUTPUT_BYTES:,} bytes, the most that is read."
        raise OutgoingFailed("too_large", message, is_retryable=False)
    media_type, charset = _content_type(answer.headers.get("content-type", ""))
    body: Any = None
    if answer.body:
        try:
            body = _decode(answer.body, charset)
            if media_type == "application/json" or media_type.endswith("+json"):
                body = json.loads(body, parse_constant=_refuse_constant)
        except (UnicodeDecodeError, LookupError) as error:
            message = f"{where}: the body ({media_type or 'of no stated type'}) is not text in {charset}."
            raise OutgoingFailed("body_not_text", message, is_retryable=False) from error
        except (ValueError, RecursionError) as error:
            message = f"{where}: the body says it is {media_type}, but it is not JSON."
            raise OutgoingFailed("invalid_response", message) from error
    return {"status": answer.status, "headers": dict(answer.headers), "body": body}


def _decode(body: bytes, charset: str) -> str:
    """Return bytes as text. Raises LookupError where no such charset is known, and UnicodeDecodeError."""
    if codecs.lookup(charset).name in _NO_CHARSETS:
        raise LookupError(charset)
    return body.decode(charset)


def _content_type(value: str) -> tuple[str, str]:
    """Return media type and charset of a Content-Type header."""
    media_type, _, parameters = value.partition(";")
    found = re.search(r"charset=\"?([\w.:-]+)", parameters, re.IGNORECASE)
    is_utf_8 = found is None or found[1].lower() in ("utf-8", "utf8")
    return media_type.strip().lower(), "utf-8-sig" if found is None or is_utf_8 else found[1]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
