"""A mail server on a socket that does what a test tells it to, word for word."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

PATIENCE = 10.0  # seconds after which a client that says nothing is taken to hang
GREETING, ENVELOPE_ACCEPTED = b"220 test.example.org\r\n", b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on\r\n"


class Line:
    """One connection."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream, self.heard = stream, b""

    def say(self, words: bytes) -> None:
        self.stream.sendall(words)

    def hear(self, words: bytes) -> None:
        """Until the client has said these words, since those that were heard last."""
        while words not in self.heard:
            heard = self.stream.recv(100_000)
            if not heard:
                raise EOFError
            self.heard = self.heard[-len(words) :] + heard if len(self.heard) > 200_000 else self.heard + heard
        self.heard = self.heard.partition(words)[2]

    def greet(self, *keywords: bytes) -> None:
        """As far as the reply to EHLO."""
        self.say(GREETING)
        self.hear(b"\r\n")
        lines = [b"test.example.org", *keywords]
        self.say(b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 %s\r\n" % lines[-1])

    def hang_up_hard(self) -> None:
        """With a reset."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.stream.close()


class ScriptServer:
    """Each connection is treated by `script`, then closed. Use as a context manager."""

    def __init__(self, script: Callable[[Line], None], tls: ssl.SSLContext | None = None) -> None:
        self.script, self.tls = script, tls
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self) -> "ScriptServer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                stream, _ = self.listener.accept()
                self.connections += 1
                self.treat(stream)

    def treat(self, stream: socket.socket) -> None:
        with suppress(OSError, EOFError), stream:  # a client may go away whenever it likes
            stream.settimeout(PATIENCE)
            with self.tls.wrap_socket(stream, server_side=True) if self.tls else stream as spoken:
                self.script(Line(spoken))
