"""A web server on loopback with TLS: it answers what a test wrote down for a path, or does as a function likes."""

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    body: bytes = b""
    type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = BaseHTTPRequestHandler
Site = Mapping[str, Answer | Callable[[Handler], None]]


class WebServer:
    """Use as a context manager. `asked` holds (path, headers) of every request."""

    def __init__(self, context: ssl.SSLContext, site: Site, host: str = "127.0.0.1") -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.server = QuietServer((host, 0), handler(site, self.asked))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = int(self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> "WebServer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class QuietServer(ThreadingHTTPServer):
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no matter."""


def handler(site: Site, asked: list[tuple[str, Mapping[str, str]]]) -> type[Handler]:
    class Scripted(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, dict(self.headers)))
            answer = site.get(self.path, Answer(status=404))
            if not isinstance(answer, Answer):
                answer(self)
                return
            self.send_response(answer.status)
            for name, value in {
                "Content-Type": answer.type,
                "Content-Length": str(len(answer.body)),
                **answer.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: Any) -> None:
            pass

    return Scripted
