"""The outside of a campaign: a web service that is asked by tasks until it says what they wait for."""

from __future__ import annotations

import json
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from maestro.chaos.rows import Ask
from maestro.embedded import ports

OPEN = "open"


class Outside:
    """Answers `/RUN/TASK?seconds=S&state=WORD&value=N`: so long after a task of a run has asked first, that state, and
    before that another one.
    """

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self._first_asked: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()
        self._server = _Server((ports.HOST, 0), _Handler)
        self._server.outside = self
        self._thread = threading.Thread(target=self._server.serve_forever, name="outside", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it is: host and port."""
        return f"{ports.HOST}:{self._server.server_port}"

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, target: str) -> dict[str, Any]:
        """Note who asks, and answer."""
        url, at = urlsplit(target), time.time()
        run_id, task_key = url.path.strip("/").split("/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        with self._lock:
            self.asks.append(Ask(run_id=run_id, task_key=task_key, at=at))
            first_asked = self._first_asked.setdefault((run_id, task_key), at)
        is_over = at >= first_asked + float(query["seconds"])
        return {"state": query["state"] if is_over else OPEN, "value": int(query["value"])}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    outside: Outside


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        body = json.dumps(self.server.outside.answer(self.path)).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: what was asked is judged."""
