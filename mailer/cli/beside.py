"""The sender beside a site: `mailer work` in a process of its own. Pages and a digest that goes out would else take
turns in one interpreter.

    site ── "a letter was written" ──▶ sender
         ◀── how long each waited ────

Both ends of the line notice when the other is gone, however it went.
"""

import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mailer.delivery import outbox

log = logging.getLogger(__name__)

REST_SECONDS = 5.0  # until one that has died is replaced


class Beside(threading.Thread):
    """Keeps a sender running, tells it of letters, and hears how long they waited."""

    def __init__(self) -> None:
        super().__init__(name="beside", daemon=True)
        self.ending = threading.Event()
        self.beginning = threading.Lock()  # so that none begins after the end
        self.line: socket.socket | None = None

    def run(self) -> None:
        while not self.ending.is_set():
            trouble = self.attend()
            if trouble and not self.ending.wait(REST_SECONDS):  # a signal to all may have ended it before us
                log.warning("the sender %s; another one takes its place", trouble)

    def attend(self) -> str:
        """Have a sender until it ends; what went wrong with it, if anything did."""
        try:
            process = self.begin()
        except OSError as error:
            if self.line:
                self.line.close()
            return f"can't be started ({error.strerror})"
        self.listen()
        code = process.wait() if process else 0
        return f"has died ({code})" if code else ""

    def begin(self) -> subprocess.Popen[bytes] | None:
        with self.beginning:
            if self.ending.is_set():
                return None
            self.line, its = socket.socketpair()
            with its:
                # Not from the working folder (-P): there may be anything. A group of its own: Ctrl-C is for us.
                program = [sys.executable, "-P", "-m", "mailer", "work", "--beside", str(its.fileno())]
                return subprocess.Popen(program, pass_fds=[its.fileno()], process_group=0)  # noqa: S603 - our own

    def listen(self) -> None:
        """Until the sender hangs up."""
        if self.line:
            with self.line, self.line.makefile() as said, suppress(OSError, ValueError):
                for waited in said:
                    outbox.delivered.send(self, seconds=[float(waited)])

    def ring(self, _sender: object) -> None:
        """It need not be heard: a sender looks at the outbox every second."""
        with suppress(OSError):
            if self.line:
                self.line.send(b"\n", socket.MSG_DONTWAIT)

    def stop(self) -> None:
        """The letters on the wire finish."""
        with self.beginning, suppress(OSError):
            self.ending.set()
            if self.line:
                self.line.shutdown(socket.SHUT_WR)
        self.join()


@contextmanager
def sender() -> Iterator[None]:
    """A sender at work beside us, from letters that are written now to the end."""
    beside = Beside()
    with outbox.filled.connected_to(beside.ring):
        beside.start()
        try:
            yield
        finally:
            beside.stop()


@contextmanager
def answering(line: int) -> Iterator[threading.Event]:
    """The other end, in the sender: an event that is set when the site has ended or wants us to. Signals are the site's
    to heed: a service manager tells both."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    stop = threading.Event()
    with socket.socket(fileno=line) as site:

        def hear() -> None:
            with suppress(OSError):
                while site.recv(4096):
                    outbox.filled.send()
            stop.set()

        def tell(_sender: object, seconds: list[float]) -> None:
            with suppress(OSError):
                site.sendall(b"".join(b"%f\n" % each for each in seconds))

        with outbox.delivered.connected_to(tell):
            threading.Thread(target=hear, name="line", daemon=True).start()
            yield stop
