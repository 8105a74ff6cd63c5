"""A mail server on loopback that does as a test tells it: takes mail, refuses, stalls, hangs up, talks nonsense.

    server.answer("RCPT", "bob@", "550 5.1.1 no such user")   # every RCPT that names bob@
    server.answer("DOT", "", HANG_UP, times=1)               # the first message: stored, then no reply

Phases: CONNECT EHLO STARTTLS AUTH MAIL RCPT DATA BODY DOT RSET QUIT. At DOT the message is stored only if the answer is
a 2xx, or one of the actions whose name says so.
"""

import base64
import socket
import socketserver
import ssl
import threading
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property

STALL = "stall"  # say nothing until the client gives up, or the test forgets its rules
SLOW = "slow"  # at DOT: say nothing until the test forgets its rules, then take the message
HANG_UP = "hang up"  # close without a word
STORE_AND_HANG_UP = "store, then hang up"
PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Mail:
    """One accepted message: the envelope and the bytes as they came, dot-stuffing undone."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    client: str = ""  # the address it came from
    at: float = field(default_factory=time.monotonic)

    @cached_property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def to(self) -> str:
        assert len(self.recipients) == 1, "one recipient for each transaction"
        return self.recipients[0]

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    def part(self, kind: str) -> str:
        found = self.message.get_body((kind,))
        return str(found.get_content()) if found else ""


@dataclass
class Rule:
    phase: str
    text: str
    answer: str
    times: int | None


class SmtpServer:
    """Use as a context manager; `mails` holds what was accepted, `commands` every line that clients sent."""

    def __init__(
        self, port: int = 0, tls: ssl.SSLContext | None = None, *, implicit_tls: bool = False, host: str = "127.0.0.1"
    ) -> None:
        self.mails: list[Mail] = []
        self.commands: list[str] = []
        self.connections = 0
        self.open_connections = 0
        self.most_connections = 0
        self.extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8"] + (["STARTTLS"] if tls and not implicit_tls else [])
        self.rules: list[Rule] = []
        self.lock = threading.Lock()
        self.tls, self.implicit_tls = tls, implicit_tls
        self.ending = threading.Event()
        self.server = Listener((host, port), Conversation)
        self.server.owner = self
        self.port = int(self.server.server_address[1])

    def __enter__(self) -> "SmtpServer":
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, phase: str, text: str, answer: str, times: int | None = None) -> None:
        """Answer commands of `phase` that contain `text` so; the latest rule wins, `times` ends it."""
        self.rules.insert(0, Rule(phase, text.lower(), answer, times))

    def answer_to(self, phase: str, line: str, default: str) -> str:
        with self.lock:
            self.commands.append(line)
            for rule in self.rules:
                if rule.phase == phase and rule.text in line.lower() and rule.times != 0:
                    if rule.times:
                        rule.times -= 1
                    return rule.answer
        return default

    def stall(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.rules and time.monotonic() < deadline and not self.ending.wait(0.05):
            pass

    def store(self, mail: Mail) -> None:
        with self.lock:
            self.mails.append(mail)

    def to(self, address: str) -> list[Mail]:
        with self.lock:
            return [mail for mail in self.mails if mail.to == address]

    def wait_for(self, count: int) -> list[Mail]:
        """Until `count` mails have come. Fails if they don't."""
        deadline = time.monotonic() + PATIENCE
        while len(self.mails) < count:
            assert time.monotonic() < deadline, f"{len(self.mails)} of {count} mails came in {PATIENCE} s"
            time.sleep(0.01)
        return list(self.mails)


class Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    owner: SmtpServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in mid-sentence is what many tests are about."""


class HangUp(Exception):
    pass


class Conversation(socketserver.BaseRequestHandler):
    server: Listener

    def setup(self) -> None:
        self.owner = self.server.owner
        with self.owner.lock:
            self.owner.connections += 1
            self.owner.open_connections += 1
            self.owner.most_connections = max(self.owner.most_connections, self.owner.open_connections)
        self.counted = 1
        self.stream: socket.socket = self.request
        self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sender, self.recipients = "", list[str]()

    def finish(self) -> None:
        self.leave()
        self.stream.close()

    def leave(self) -> None:
        """Count this connection as ended: once, and before the client hears that it is."""
        with self.owner.lock:
            self.owner.open_connections -= self.counted
        self.counted = 0

    def handle(self) -> None:
        try:
            if self.owner.implicit_tls:
                self.secure()
            self.file = self.stream.makefile("rb")
            self.reply("CONNECT", "", "220 test.example.org ESMTP")
            while line := self.file.readline(10_000):
                self.obey(line.decode("utf-8", "replace").rstrip("\r\n"))
        except (HangUp, OSError):
            return

    def secure(self) -> None:
        assert self.owner.tls
        self.stream = self.owner.tls.wrap_socket(self.stream, server_side=True)
        self.file = self.stream.makefile("rb")

    def obey(self, line: str) -> None:
        verb = line.split(" ")[0].upper()
        obey = getattr(self, f"on_{verb.lower()}", None)
        if obey is None:
            self.say("500 5.5.1 what?")
        else:
            obey(line)

    def reply(self, phase: str, line: str, default: str) -> str:
        answer = self.owner.answer_to(phase, line, default)
        if answer == STALL:
            self.owner.stall()
        if answer in (STALL, HANG_UP, STORE_AND_HANG_UP):
            raise HangUp
        self.say(answer)
        return answer

    def say(self, answer: str) -> None:
        self.stream.sendall((answer + "\r\n").encode("latin-1"))

    def on_ehlo(self, line: str) -> None:
        lines = ["test.example.org", *self.owner.extensions]
        dashed = [f"250-{each}" for each in lines[:-1]]
        self.reply("EHLO", line, "\r\n".join([*dashed, f"250 {lines[-1]}"]))

    def on_starttls(self, line: str) -> None:
        if self.reply("STARTTLS", line, "220 2.0.0 go on").startswith("220"):
            self.secure()

    def on_auth(self, line: str) -> None:
        encoded = line.split(" ")[-1]
        said = base64.b64decode(encoded).decode() if line.upper().startswith("AUTH PLAIN ") else line
        self.reply("AUTH", f"AUTH {said!r}", "235 2.7.0 welcome")

    def on_mail(self, line: str) -> None:
        if self.reply("MAIL", line, "250 2.1.0 ok").startswith("2"):
            self.sender, self.recipients = line.partition("<")[2].partition(">")[0], []

    def on_rcpt(self, line: str) -> None:
        if self.reply("RCPT", line, "250 2.1.5 ok").startswith("2"):
            self.recipients.append(line.partition("<")[2].partition(">")[0])

    def on_data(self, line: str) -> None:
        default = "354 go on" if self.recipients else "554 5.5.1 no valid recipients"
        if not self.reply("DATA", line, default).startswith("354"):
            return
        lines: list[bytes] = []
        while (line_ := self.file.readline()) != b".\r\n":
            if not line_ or (not lines and self.owner.answer_to("BODY", " ".join(self.recipients), "") == HANG_UP):
                raise HangUp
            lines.append(line_[1:] if line_.startswith(b".") else line_)
        self.on_dot(Mail(self.sender, tuple(self.recipients), b"".join(lines), self.client_address[0]))

    def on_dot(self, mail: Mail) -> None:
        answer = self.owner.answer_to("DOT", " ".join(mail.recipients), "250 2.0.0 queued")
        if not mail.recipients:
            answer = "554 5.5.1 no valid recipients"
        if answer in (STALL, SLOW):
            self.owner.stall()
        if answer == SLOW:
            answer = "250 2.0.0 queued at last"
        if answer.startswith("2") or answer == STORE_AND_HANG_UP:
            self.owner.store(mail)
        if answer in (STALL, HANG_UP, STORE_AND_HANG_UP):
            raise HangUp
        self.say(answer)

    def on_rset(self, line: str) -> None:
        self.reply("RSET", line, "250 2.0.0 ok")

    def on_noop(self, line: str) -> None:
        self.reply("NOOP", line, "250 2.0.0 ok")

    def on_quit(self, line: str) -> None:
        self.leave()
        self.reply("QUIT", line, "221 2.0.0 bye")
        raise HangUp
