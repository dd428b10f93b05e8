"""A small HTTP server that answers as Maestro's REST API does, from answers a test puts in."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "mk_test_0123456789"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    authorization: str
    idempotency_key: str
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What to answer; bytes are sent as they are."""

    body: Any = None
    status: int = 200
    content_type: str = "application/json"
    location: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[Request], Reply]


@dataclass
class FakeApi:
    """Answers by method and path under /api/v1; remembers what it was asked."""

    url: str = ""
    routes: dict[tuple[str, str], Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def on(self, method: str, path: str, body: Any = None, *, status: int = 200, **more: Any) -> None:
        """Answer always the same."""
        reply = Reply(body=body, status=status, **more)
        self.routes[method, path] = lambda request: reply

    def on_call(self, method: str, path: str, answer: Answer) -> None:
        """Answer by a function of the request."""
        self.routes[method, path] = answer

    def on_turns(self, method: str, path: str, *replies: Reply) -> None:
        """Answer differently each time; the last one repeats."""
        remaining = list(replies)
        self.routes[method, path] = lambda request: remaining.pop(0) if len(remaining) > 1 else remaining[0]

    def on_list(self, path: str, results: list[Any], *, page_size: int = 200) -> None:
        """Answer a list by pages, as the API does."""
        self.routes["GET", path] = lambda request: self.page(request, results, page_size=page_size)

    def page(self, request: Request, results: list[Any], *, page_size: int = 200) -> Reply:
        """Make the page a request asks for."""
        start = int(request.query.get("cursor", "0"))
        size = min(page_size, int(request.query.get("limit", "100")))
        end = start + size
        link = f"http://wrong.example/api/v1{request.path}?cursor={end}&limit={size}" if end < len(results) else None
        return Reply(body={"results": results[start:end], "next": link, "previous": None})

    def asked(self, path: str) -> list[Request]:
        """Return the requests for a path."""
        return [request for request in self.requests if request.path == path]


def problem(status: int, code: str, detail: str, **more: Any) -> Reply:
    """Make a problem document."""
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail, **more}
    return Reply(body={"request_id": "req-1", **body}, status=status, content_type="application/problem+json")


@contextmanager
def serving(api: FakeApi) -> Iterator[FakeApi]:
    """Serve on a free port of this machine until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(
                method=self.command,
                path=parts.path.removeprefix("/api/v1"),
                query={name: values[0] for name, values in parse_qs(parts.query).items()},
                content_type=self.headers.get("Content-Type", ""),
                authorization=self.headers.get("Authorization", ""),
                idempotency_key=self.headers.get("Idempotency-Key", ""),
                body=self.rfile.read(length),
            )
            api.requests.append(request)
            self._send(self._reply_to(request))

        do_POST = do_GET  # noqa: N815 - the base class looks for this name

        def _reply_to(self, request: Request) -> Reply:
            if request.authorization != f"Bearer {KEY}":
                return problem(401, "not_authenticated", "The API key is not valid.")
            answer = api.routes.get((request.method, request.path))
            return answer(request) if answer else problem(404, "not_found", f"There is no {request.path}.")

        def _send(self, reply: Reply) -> None:
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(content)))
            if reply.location:
                self.send_header("Location", reply.location)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
