"""One SMTP session: a socket that drives `protocol` and never waits. Who waits is told what for, and until when."""

import contextlib
import selectors
import smtplib
import socket
import ssl
import time
from types import TracebackType

import flask_mail

from mailer.config import Config
from mailer.delivery.envelope import Features, Parcel
from mailer.delivery.opening import open_connection, server_name, timeouts
from mailer.delivery.outcomes import Outcome, Phase
from mailer.delivery.protocol import Broken, Event, Protocol, ServerTrouble, Settled

GOODBYE_SECONDS = 5
BUFFER = 16 * 1024  # octets read at once
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Session(flask_mail.Connection):
    """Opened when there is a letter, closed after its share of letters, opened again after trouble."""

    def __init__(self, mail: flask_mail.Mail, config: Config) -> None:
        super().__init__(mail)
        self.config, self.where, self.wait = config, server_name(mail), timeouts(config)
        self.sock: socket.socket | None = None
        self.protocol = Protocol(Features(), self.where)
        self.is_encrypted = False
        self.output = b""  # what the socket did not take yet
        self.num_emails = self.most = 0
        self.international: bool | None = None  # whether the server offered SMTPUTF8; None: not asked yet
        self.moved_at = 0.0  # when something was last said by either side, by the monotonic clock

    def configure_host(self) -> smtplib.SMTP:
        return open_connection(self.mail, self.config)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """A fresh connection, the old one having been closed politely. Waits; raises ServerTrouble or ServerRefuses."""
        self.close()
        self.host = self.configure_host()
        if self.host.sock is None:
            raise ServerTrouble(f"{self.where} hung up at once")
        self.sock, features = self.host.sock, Features.read(self.host.esmtp_features)
        self.international = features.utf8
        self.sock.setblocking(False)
        self.is_encrypted = isinstance(self.sock, ssl.SSLSocket)
        self.protocol, self.num_emails = Protocol(features, self.where), 0
        self.most = min(self.config.send_per_connection, features.letters or self.config.send_per_connection)
        self.moved_at = time.monotonic()

    def close(self) -> None:
        """Say goodbye if the server still listens; its trouble with that is not ours. Waits."""
        if self.host and self.host.sock:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self.host.sock.settimeout(GOODBYE_SECONDS)
                self.host.quit()
        self.drop()

    def drop(self) -> None:
        """Hang up without a word: the server is past listening."""
        if self.host:
            self.host.close()
        self.host = self.sock = None
        self.protocol, self.output = Protocol(Features(), self.where), b""

    @property
    def is_open(self) -> bool:
        return self.sock is not None

    @property
    def busy(self) -> bool:
        """Whether a reply is due."""
        return bool(self.protocol.expected)

    @property
    def patience(self) -> float:
        """How many seconds the server may take for its next word."""
        return self.wait[self.protocol.phase or Phase.MAIL]

    @property
    def stream(self) -> socket.socket:
        if self.sock is None:
            raise ServerTrouble(f"no connection to {self.where} is open")
        return self.sock

    @property
    def spent(self) -> bool:
        return self.num_emails >= self.most

    @property
    def joins(self) -> bool:
        """Whether the next letter's envelope may travel with a body."""
        return self.protocol.features.pipelining and self.num_emails < self.most

    def offer(self, parcel: Parcel) -> Settled | None:
        """Begin with a letter; `push` writes it, and what becomes of it comes from `pull`."""
        self.num_emails += 1
        self.moved_at = time.monotonic()
        return self.protocol.offer(parcel)

    def push(self) -> list[Event]:
        """Write what the socket takes now. What is left in `output` waits until it can be written."""
        if self.sock is None:
            return self.lose("no connection is open") if self.busy else []
        if self.output and self.protocol.dot_is_unsent(len(self.output)) and (early := self.hear_early()):
            return self.lose(f"it answers in mid-message: {early!r}", len(self.output))
        output = self.output or self.protocol.output()
        try:
            sent = self.sock.send(output) if output else 0
        except NOT_NOW:
            sent = 0
        except OSError as error:
            return self.lose(reason(error), len(output))
        self.output = output[sent:]
        if sent:
            self.moved_at = time.monotonic()
        return []

    def hear_early(self) -> bytes:
        """What the server says before our words are out: it can't be the reply to them."""
        with contextlib.suppress(OSError):
            return self.stream.recv(BUFFER)[:60]
        return b""

    def pull(self) -> list[Event]:
        """What the server says, once there is something to read."""
        if self.sock is None or self.output:
            return []
        try:
            data = self.sock.recv(BUFFER)
            while self.is_encrypted and self.sock.pending():  # type: ignore[attr-defined]
                data += self.sock.recv(BUFFER)
        except NOT_NOW:
            return []
        except OSError as error:
            return self.lose(reason(error))
        if not data:
            return self.lose("the connection was closed")
        self.moved_at = time.monotonic()
        events = self.protocol.receive(data)
        if self.protocol.over:
            self.drop()
        return events

    def expire(self) -> list[Event]:
        """Give up a server that should have answered by now."""
        return self.lose("it does not answer in time", len(self.output))

    def lose(self, why: str, unsent: int = 0) -> list[Event]:
        events = self.protocol.lost(why, unsent)
        self.drop()
        return events

    def noop(self) -> list[Event]:
        """Keep an idle connection alive."""
        if not self.is_open:
            return []
        self.protocol.noop()
        return self.push()

    def deliver(self, parcel: Parcel) -> Outcome:
        """One letter by itself. Waits. Raises ServerTrouble if it was not tried, ServerRefuses if none should be."""
        was_open = self.is_open and not self.spent
        if not was_open:
            self.open()
        settled = self.offer(parcel)
        events: list[Event] = [settled] if settled else []
        while self.busy:
            events += self.push()
            events += self.pull() if self.until_ready() else self.expire()
        for event in events:
            if isinstance(event, Settled):
                return event.outcome
        trouble = next(event.trouble for event in events if isinstance(event, Broken))
        if was_open and isinstance(trouble, ServerTrouble):  # a fresh connection may do
            return self.deliver(parcel)
        raise trouble

    def until_ready(self) -> bool:
        """Wait for the socket until the deadline; whether it became ready."""
        if self.sock is None or not self.busy:
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self.sock, selectors.EVENT_WRITE if self.output else selectors.EVENT_READ)
            return bool(selector.select(self.patience))


def reason(error: OSError) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
