"""Mail servers that take everything, each in a process of its own, fresh for each run, and say how much they took.

Postfix's `smtp-sink` is the common ground for all senders; `stamping` is ours, for what has to do with time.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .ground import NOBODY, binary, free_port, is_root
from .processes import Failed, running

COUNTER = re.compile(rb"mesg=(\d+)\r")
PATIENCE = 20  # seconds for a sink to start, or to count what is already on its way


def smtp_sink_binary() -> str:
    return binary("smtp-sink", package="postfix")


@dataclass(frozen=True)
class SmtpSink:
    port: int
    counter: int

    def messages(self) -> int:
        """The newest of the running counters that `-c` prints, one after the other, without a line's end."""
        size = os.fstat(self.counter).st_size
        found = COUNTER.findall(os.pread(self.counter, 200, max(0, size - 200)))
        return int(found[-1]) if found else 0

    def expect(self, count: int) -> None:
        """Raises Failed unless the sink itself counted as many messages. The last of them may still be on its way."""
        deadline = time.monotonic() + PATIENCE
        while self.messages() < count and time.monotonic() < deadline:
            time.sleep(0.01)
        if self.messages() != count:
            raise Failed(f"smtp-sink counted {self.messages():,} messages instead of {count:,}")


@contextmanager
def smtp_sink(*options: str) -> Iterator[SmtpSink]:
    """A fresh `smtp-sink -c`. Its counters go to memory: a pipe would wake a reader up at each message."""
    port, counter = free_port(), os.memfd_create("counter")
    user = ("-u", NOBODY) if is_root() else ()
    command = [smtp_sink_binary(), "-c", *user, *options, f"127.0.0.1:{port}", "100"]
    try:
        with running(command, stdout=counter) as process:
            wait_for(port, process)
            yield SmtpSink(port, counter)
    finally:
        os.close(counter)


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed("smtp-sink did not start") from None
            time.sleep(0.02)


@dataclass(frozen=True)
class Taken:
    """What our own sink took: messages, how many different people, and when the first and last were whole."""

    messages: int
    different: int
    first: float
    last: float

    def expect(self, count: int) -> None:
        if not self.messages == self.different == count:
            raise Failed(
                f"the sink took {self.messages:,} messages for {self.different:,} people, not {count:,} of each"
            )


class StampingSink:
    """Our sink as a child. It ends when its standard input does, so also if this program is killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            raise Failed("our own sink did not start")
        self.port = int(line)

    def finish(self) -> Taken:
        """Stop it and take its account."""
        return Taken(**json.loads(self.process.communicate(timeout=PATIENCE)[0]))


@contextmanager
def stamping_sink(delay: float) -> Iterator[StampingSink]:
    """A fresh sink of our own that answers everything `delay` seconds after it came."""
    command = [sys.executable, "-m", "bench.stamping", str(delay)]
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None) as process:
        yield StampingSink(process)
