"""How `mailer serve` speaks to browsers, below the pages."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from waitress.server import create_server

from mailer.cli.serve import Channel

LARGE = 20_000_000  # octets, more than the server keeps for a browser that reads slowly


def answer(_environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    start("200 OK", [("Content-Length", str(LARGE))])
    return [b"a" * (LARGE // 100) for _ in range(100)]


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = create_server(answer, host="127.0.0.1", port=0, asyncore_use_poll=True)
    made.channel_class = Channel
    yield made
    made.close()


def test_while_a_thread_sends_the_loop_does_not_ask_for_it(server: Any) -> None:
    """It could only ask again at once, in time that the thread needs."""
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        channel = Channel(server, ours, ("127.0.0.1", 1), server.adj, map={})
        assert not channel.writable(), "there is nothing to send"
        channel.outbufs[-1].append(b"a")
        channel.total_outbufs_len = 1
        assert channel.writable()
        holds, go_on = threading.Event(), threading.Event()

        def send() -> None:
            with channel.outbuf_lock:
                holds.set()
                go_on.wait(10)

        thread = threading.Thread(target=send)
        thread.start()
        assert holds.wait(10)
        assert not channel.writable()
        go_on.set()
        thread.join()
        assert channel.writable()


def test_a_slow_reader_gets_all_of_it(server: Any) -> None:
    threading.Thread(target=server.run, daemon=True).start()
    with socket.create_connection(("127.0.0.1", server.effective_port), 10) as browser:
        browser.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = 0
        while octets := browser.recv(200_000):
            got += len(octets)
            time.sleep(0.002)
    assert got > LARGE
