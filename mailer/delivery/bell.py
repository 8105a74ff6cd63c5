"""Wakes a thread that sleeps in `select` (the self-pipe trick)."""

import selectors
import socket
from contextlib import suppress


class Bell:
    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.rope, self.clapper = socket.socketpair()
        for end in (self.rope, self.clapper):
            end.setblocking(False)
        selector.register(self.clapper, selectors.EVENT_READ)

    def __enter__(self) -> "Bell":
        return self

    def __exit__(self, *_: object) -> None:
        self.rope.close()
        self.clapper.close()

    def ring(self, *_: object) -> None:
        with suppress(OSError):  # it rings already, or nobody is there any more
            self.rope.send(b"!")

    def hush(self) -> None:
        with suppress(OSError):
            self.clapper.recv(4096)
