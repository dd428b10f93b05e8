"""A server on the loopback that says exactly what a test tells it to, whether that is HTTP or not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""Self-signed, for `localhost`, with its key: worth nothing outside the tests."""

Reply = bytes | Iterable[bytes]


class Server:
    def __init__(self, reply: Callable[[str], Reply], context: ssl.SSLContext | None) -> None:
        self.requests: list[str] = []
        self._reply = reply
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        self._thread.join()
        self._listener.close()

    def pause(self, seconds: float) -> bool:
        """Wait, and tell whether to go on."""
        return not self._stopping.wait(seconds)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            connection, _ = self._listener.accept()
            with contextlib.suppress(OSError), connection:
                if self._context is None:
                    self._answer(connection)
                else:
                    with self._context.wrap_socket(connection, server_side=True) as secured:
                        self._answer(secured)

    def _answer(self, connection: socket.socket) -> None:
        head, _, body = self._receive(connection).partition(b"\r\n\r\n")
        if not head:
            return
        self.requests.append((head + b"\r\n\r\n" + body).decode())
        reply = self._reply(self.requests[-1])
        for part in [reply] if isinstance(reply, bytes) else reply:
            connection.sendall(part)

    @staticmethod
    def _receive(connection: socket.socket) -> bytes:
        received = b""
        while b"\r\n\r\n" not in received and (chunk := connection.recv(65536)):
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        while len(body) < sum(lengths) and (chunk := connection.recv(65536)):
            body += chunk
        return head + b"\r\n\r\n" + body if head else b""


@contextlib.contextmanager
def serving(reply: Callable[[str], Reply] | bytes, *, is_secure: bool = False) -> Iterator[Server]:
    context = None
    if is_secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
    server = Server(reply if callable(reply) else lambda _: reply, context)
    try:
        yield server
    finally:
        server.stop()


def http_answer(body: bytes = b"", *, status: str = "200 OK", headers: str = "") -> bytes:
    """An answer as a simple server writes it; `headers` are whole lines."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
