"""A mail server that takes everything, answers late on purpose, and notes when messages came.

    python -m bench.stamping DELAY

Prints its port; when standard input ends it prints what it took as JSON and ends itself. Each reply goes out DELAY
seconds after its command came. Replies to commands that came together go out together, and waiting for one does not
hold up the next, like a line of that round-trip time. It offers PIPELINING.
"""

import asyncio
import json
import re
import selectors
import sys
import time
from collections import deque
from collections.abc import Iterator

GREETING = b"220 sink.example.org ESMTP\r\n"
LINE, MESSAGE = b"\r\n", b"\r\n.\r\n"
REPLIES = {
    b"EHLO": b"250-sink.example.org\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
RECIPIENT = re.compile(rb"RCPT TO:\s*<([^>]*)>", re.IGNORECASE)


class Account:
    def __init__(self) -> None:
        self.messages = 0
        self.recipients: set[bytes] = set()
        self.first = self.last = 0.0

    def take(self, recipient: bytes) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.messages += 1
        self.recipients.add(recipient)

    def as_json(self) -> str:
        taken = {"messages": self.messages, "different": len(self.recipients), "first": self.first, "last": self.last}
        return json.dumps(taken)


class Conversation(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, account: Account, delay: float) -> None:
        self.account = account
        self.delay = delay
        self.waiting: deque[bytes] = deque()
        self.pending, self.ending = b"", LINE
        self.recipient = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.answer(GREETING)

    def data_received(self, data: bytes) -> None:
        self.pending += data
        if replies := b"".join(self.replies()):
            self.answer(replies)

    def replies(self) -> Iterator[bytes]:
        """What to say to everything that is whole by now: lines, and messages up to their dot."""
        while (at := self.pending.find(self.ending)) >= 0:
            whole, self.pending = self.pending[:at], self.pending[at + len(self.ending) :]
            yield self.end_of_message() if self.ending is MESSAGE else self.reply(whole)

    def end_of_message(self) -> bytes:
        self.account.take(self.recipient)
        self.ending = LINE
        return b"250 queued\r\n"

    def reply(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if found := RECIPIENT.match(line):
            self.recipient = found[1]
        if verb == b"DATA":
            self.pending, self.ending = LINE + self.pending, MESSAGE  # so that an empty message's dot begins a line too
        return REPLIES.get(verb, b"250 ok\r\n")

    def answer(self, replies: bytes) -> None:
        """In a queue, for timers promise no order among themselves."""
        self.waiting.append(replies)
        asyncio.get_running_loop().call_later(self.delay, self.write)

    def write(self) -> None:
        replies = self.waiting.popleft()
        if self.transport.is_closing():
            return
        self.transport.write(replies)
        if replies.endswith(REPLIES[b"QUIT"]):
            self.transport.close()


async def serve(delay: float) -> None:
    loop, account, over = asyncio.get_running_loop(), Account(), asyncio.Event()
    server = await loop.create_server(lambda: Conversation(account, delay), "127.0.0.1", 0)
    loop.add_reader(sys.stdin.fileno(), over.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()
    print(account.as_json(), flush=True)


def exact_loop() -> asyncio.AbstractEventLoop:
    """select() waits to the microsecond; epoll rounds up to the next millisecond, which would be 2 % of 50."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=exact_loop) as runner:
        runner.run(serve(float(sys.argv[1])))
