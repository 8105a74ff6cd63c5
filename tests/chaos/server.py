"""A mail server in a process of its own that does as a seed tells it, and writes everything down before it answers.

    python -m tests.chaos.server FOLDER --seed 7 --faults mixed --port 0

prints its port. It can be killed at any instant and started again with the same folder and port: what it said it
took is in the record, and what it does with a letter depends on the seed, the recipient and the attempt alone.
"""

import argparse
import contextlib
import hashlib
import re
import select
import socket
import socketserver
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from .faults import Fault, Manners, Moment, Script, parse_shares
from .record import Event, Recorder

NO_RECIPIENT = "554 5.5.1 no valid recipients"
CLOSING = "421 4.3.2 closing"
LINGER_SECONDS = 1.0
ENDING = 60  # so many bytes of a letter's end are written down: a letter that was cut short ends otherwise


class HangUp(Exception):
    pass


class Stream:
    """Lines from a socket, and whether the client already sent more than it was asked for."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.buffer = connection, bytearray()

    def line(self) -> bytes:
        """The next line with its end. Raises HangUp where the client went away."""
        while (end := self.buffer.find(b"\n")) < 0:
            self.fill()
        line = bytes(self.buffer[: end + 1])
        del self.buffer[: end + 1]
        return line

    def fill(self) -> None:
        received = self.connection.recv(65536)
        if not received:
            raise HangUp
        self.buffer += received

    def ahead(self) -> bool:
        if self.buffer:
            return True
        waiting, _, _ = select.select([self.connection], [], [], 0)
        return bool(waiting and self.connection.recv(1, socket.MSG_PEEK))

    def drain(self) -> None:
        """Let the client read our last word: closing over unread input would tear it away from them."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS)
            while self.connection.recv(65536):
                pass


class ScriptedServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port: int, script: Script, recorder: Recorder, *, pipelining: bool, window: int) -> None:
        self.script, self.recorder, self.pipelining, self.window = script, recorder, pipelining, window
        super().__init__(("127.0.0.1", port), Conversation)

    def server_bind(self) -> None:
        if self.window:  # so small that a long letter does not fit into the buffers between us
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.window)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        super().server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        """Errors of the harness itself must not pass for those of the product."""
        self.recorder.note(Event.ODD, 0, what="the scripted server failed")
        super().handle_error(request, client_address)  # type: ignore[arg-type]


class Conversation(socketserver.BaseRequestHandler):
    server: ScriptedServer

    def setup(self) -> None:
        self.connection: socket.socket = self.request
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream, self.script, self.recorder = Stream(self.connection), self.server.script, self.server.recorder
        self.number = self.recorder.open()
        self.letters = 0
        self.letter: Letter | None = None

    @cached_property
    def commands(self) -> dict[bytes, Callable[[bytes], None]]:
        return {b"EHLO": self.on_ehlo, b"MAIL": self.on_mail, b"RCPT": self.on_rcpt, b"DATA": self.on_data}

    def handle(self) -> None:
        ended = "by the client"
        try:
            self.say("220 scripted.example.org ESMTP")
            while not (line := self.stream.line()).upper().startswith(b"QUIT"):
                self.obey(line)
            self.say("221 2.0.0 bye")
            ended = "with QUIT"
        except HangUp as reason:
            ended = str(reason) or ended
        except OSError:
            pass
        self.recorder.note(Event.CLOSE, self.number, how=ended)
        self.connection.close()

    def obey(self, line: bytes) -> None:
        verb = line[:4].upper()
        self.expect_nothing_behind(verb.decode("latin-1"))
        if verb in self.commands:
            self.commands[verb](line)
        elif verb in (b"RSET", b"NOOP"):
            self.letter = None if verb == b"RSET" else self.letter
            self.say("250 2.0.0 ok")
        else:
            self.odd(f"said {line[:40]!r}")
            self.say("500 5.5.1 what?")

    def on_ehlo(self, _line: bytes) -> None:
        offered = ["PIPELINING"] if self.server.pipelining else []
        lines = ["scripted.example.org", *offered, "8BITMIME", "SIZE 10485760", "ENHANCEDSTATUSCODES", "SMTPUTF8"]
        dashed = "".join(f"250-{each}\r\n" for each in lines[:-1])
        self.say(f"{dashed}250 {lines[-1]}")

    def on_mail(self, _line: bytes) -> None:
        self.letters += 1
        self.letter = None
        if self.script.closes_at_mail(self.number, self.letters):
            self.close()
        self.say("250 2.1.0 ok")

    def on_rcpt(self, line: bytes) -> None:
        recipient = line.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace")
        attempt = self.recorder.attempt(self.number, recipient)
        self.letter = Letter(self, recipient, attempt)
        self.letter.on_rcpt()

    def on_data(self, _line: bytes) -> None:
        if self.letter is None:
            self.odd("DATA without RCPT")
            self.say("503 5.5.1 RCPT first")
            return
        letter, self.letter = self.letter, None
        letter.on_data()

    def expect_nothing_behind(self, what: str) -> None:
        if not self.server.pipelining and self.stream.ahead():
            self.odd(f"sent more behind {what} though PIPELINING was not offered")

    def odd(self, what: str) -> None:
        self.recorder.note(Event.ODD, self.number, what=what)

    def say(self, reply: str, *, torn: bool = False) -> None:
        line = (reply + "\r\n").encode()
        if torn:
            self.connection.sendall(line[:5])
            time.sleep(0.002)
            line = line[5:]
        self.connection.sendall(line)

    def close(self) -> None:
        self.say(CLOSING)
        self.stream.drain()
        raise HangUp("with 421")


class Letter:
    """One attempt at one letter, from RCPT to the reply after its dot."""

    def __init__(self, conversation: Conversation, recipient: str, attempt: int) -> None:
        self.conversation, self.recipient, self.attempt = conversation, recipient, attempt
        self.script, self.stream = conversation.script, conversation.stream
        self.manners: Manners = self.script.manners(recipient, attempt)
        self.refused = False

    def note(self, event: Event, **details: object) -> None:
        self.conversation.recorder.note(event, self.conversation.number, to=self.recipient, **details)

    def pause(self, moment: Moment) -> None:
        time.sleep(self.manners.pauses.get(moment, 0))

    def on_rcpt(self) -> None:
        self.pause(Moment.RCPT)
        fault = self.manners.fault
        if fault is Fault.CLOSE_RCPT:
            self.conversation.close()
        if fault is Fault.REFUSE:
            self.refuse("550 5.1.1 no such user")
        elif fault is Fault.DEFER_RCPT:
            self.refuse("450 4.2.1 greylisted, come back later")
        else:
            self.conversation.say("250 2.1.5 ok")

    def refuse(self, reply: str) -> None:
        self.refused = True
        self.note(Event.REFUSED, code=int(reply[:3]))
        self.conversation.say(reply)

    def on_data(self) -> None:
        self.pause(Moment.DATA)
        if self.stream.ahead():
            self.conversation.odd("sent more behind DATA, which ends a group of commands")
        if self.refused:
            self.read_lone_dot()
            return
        self.note(Event.DATA)
        self.conversation.say("354 go on")
        self.on_dot(self.read_body())

    def read_lone_dot(self) -> None:
        if not self.script.takes_lone_dot(self.recipient, self.attempt):
            self.conversation.say(NO_RECIPIENT)
            return
        self.conversation.say("354 go on, to nobody")
        if self.stream.line() != b".\r\n":
            self.conversation.odd("a body to a recipient that was refused")
            while self.stream.line() != b".\r\n":
                pass
        self.conversation.say(NO_RECIPIENT)

    def read_body(self) -> bytes:
        """The letter's bytes, dot-stuffing undone."""
        lines: list[bytes] = []
        if not self.stream.buffer:
            self.stream.fill()
        self.note(Event.BODY)
        self.pause(Moment.BODY)
        while (line := self.stream.line()) != b".\r\n":
            if not line.endswith(b"\r\n"):
                self.conversation.odd("a bare line feed in a body")
            lines.append(line[1:] if line.startswith(b".") else line)
            if self.manners.fault is Fault.CUT_BODY and len(lines) == 10:
                self.withhold()
        self.note(Event.DOT)
        self.conversation.expect_nothing_behind("the dot")
        return b"".join(lines)

    def withhold(self) -> None:
        self.note(Event.WITHHELD)
        raise HangUp("without a word")

    def on_dot(self, body: bytes) -> None:
        fault = self.manners.fault
        self.pause(Moment.BEFORE_STORING)
        if fault is Fault.CUT_DOT:
            self.withhold()
        if fault is Fault.CLOSE_DOT:
            self.conversation.close()
        if fault is Fault.DEFER_DOT:
            self.refuse("451 4.3.0 try again later")
        elif fault is Fault.BLOCK:
            self.refuse("554 5.7.1 not wanted")
        else:
            self.take(body)
        self.note(Event.REPLIED)

    def take(self, body: bytes) -> None:
        self.store(body)
        self.pause(Moment.BEFORE_REPLY)
        if self.manners.fault is Fault.CUT_STORED:
            self.withhold()
        text = "250-2.0.0 taken\r\n250 2.0.0 queued" if self.manners.multiline else "250 2.0.0 queued"
        self.conversation.say(text, torn=self.manners.torn)

    def store(self, body: bytes) -> None:
        """Durable before anything is said: a process that is killed loses nothing that it has written."""
        offset = self.conversation.recorder.keep(body)
        self.note(
            Event.STORED,
            attempt=self.attempt,
            message_id=header(body, b"Message-ID"),
            header_to=header(body, b"To"),
            sha256=hashlib.sha256(body).hexdigest(),
            offset=offset,
            length=len(body),
            ending=body[-ENDING:].decode("latin-1"),
        )


def header(body: bytes, name: bytes) -> str:
    """A header's value as it stands, unfolded."""
    head = body.partition(b"\r\n\r\n")[0]
    found = re.search(rb"^%s:((?:[^\r]|\r\n[ \t])*)" % name, head, re.MULTILINE | re.IGNORECASE)
    return b" ".join(found[1].split()).decode("latin-1") if found else ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.server", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the record is written")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--faults", type=parse_shares, default="mixed", help="a profile, or refuse=3,cut-dot=0.5 …")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0, help="mean seconds that a letter takes")
    parser.add_argument("--window", type=int, default=0, help="bytes of the receive buffer; 0 = the system's")
    parser.add_argument("--no-pipelining", action="store_true")
    given = parser.parse_args()
    script = Script(given.seed, given.faults, given.pause)
    recorder = Recorder(given.folder)
    with ScriptedServer(
        given.port, script, recorder, pipelining=not given.no_pipelining, window=given.window
    ) as server:
        print(server.server_address[1], flush=True)  # noqa: T201 - its one line of output
        server.serve_forever()


if __name__ == "__main__":
    main()
