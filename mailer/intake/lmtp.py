"""The listener: LMTP (RFC 2033), by which a mail server hands over mail and hears for each recipient what became of it.

A mail's beginning is kept and the rest dropped as it comes, so none is too large and none takes up memory. Whoever may
connect can at most let people leave whose token they have.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aiosmtpd.lmtp import LMTP
from flask import Flask

from mailer.config import Config
from mailer.errors import MailerError
from mailer.intake import taking
from mailer.intake.reading import KEPT, read

log = logging.getLogger(__name__)

MOST_SESSIONS = 50
MOST_RECIPIENTS = 100  # in one mail, as many as RFC 5321 4.5.3.1.8 asks for
MOST_COMMANDS = 10_000  # of one kind in a session; then it has to be opened anew
THREADS = 4  # that use the database
PATIENCE = 300.0  # seconds for a command, RFC 5321 4.5.3.2.7, and for a whole mail
UNIX = "unix:"

DONE = "250 2.0.0 done"
NOTHING = "250 2.0.0 taken, there was nothing to do"
NO_SUCH = "550 5.1.1 nobody takes mail at this address"
TOO_MANY = "452 4.5.3 too many recipients"
TROUBLE = "451 4.3.0 not now, try again"
BUSY = b"421 4.3.2 too many sessions\r\n"


class Postbox:
    """What is said to a recipient, and to a mail for each recipient."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.threads = ThreadPoolExecutor(THREADS, "intake")

    async def handle_EHLO(self, _server: Any, session: Any, _envelope: Any, host: str, replies: list[str]) -> list[str]:  # noqa: N802 - aiosmtpd's name
        """LHLO, too. Offers PIPELINING, which RFC 2033 asks for: commands are read one by one, however they come."""
        session.host_name = host
        return [*replies[:-1], "250-PIPELINING", replies[-1]]

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return TOO_MANY
        with self.app.app_context():
            if not taking.may_be_to_leave(address):
                return NO_SUCH
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_exception(self, error: Exception) -> str:
        """A command that aiosmtpd stumbled over: mail is taken in `take`."""
        log.warning("a mail server's command can't be read (%s)", type(error).__name__)
        return "501 5.5.2 this can't be read"

    async def take(self, envelope: Any, beginning: bytes) -> list[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, self.replies, envelope, beginning)

    def replies(self, envelope: Any, beginning: bytes) -> list[str]:
        """One for each recipient, in order. After trouble nothing more is tried: the mail server waits."""
        replies: list[str] = []
        try:
            mail = read(beginning, envelope.mail_from)
            with self.app.app_context():
                for address in envelope.rcpt_tos:
                    taken = taking.take([address], mail)
                    replies.append(DONE if taken else NOTHING if taking.is_to_leave(address) else NO_SUCH)
        except Exception as error:
            taking.tell(error)
        return replies + [TROUBLE] * (len(envelope.rcpt_tos) - len(replies))


class Session(LMTP):
    """aiosmtpd's, but for DATA: there it keeps the whole mail, refuses long lines, and has one reply for all."""

    line_length_limit = 64 * 1024  # of what is read at once

    def __init__(self, listener: "Listener") -> None:
        super().__init__(
            listener.postbox,
            data_size_limit=None,
            enable_SMTPUTF8=True,  # a mail server turns mail away that needs it, where it is not offered
            hostname=listener.hostname,
            ident="LMTP",
            timeout=PATIENCE,
            command_call_limit=MOST_COMMANDS,
            loop=asyncio.get_running_loop(),
        )
        self.listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.listener.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.listener.sessions.discard(self)
        super().connection_lost(error)

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        assert self.envelope is not None  # noqa: S101 - there is one from the start
        if not self.envelope.rcpt_tos or arg:
            await self.push("501 5.5.4 Syntax: DATA" if arg else "503 5.5.1 need RCPT first")
            return
        await self.push("354 go on, end with <CR><LF>.<CR><LF>")
        beginning = await self.beginning_of_mail()
        replies = await self.listener.postbox.take(self.envelope, beginning)
        self.envelope = self._create_envelope()
        for reply in replies:
            await self.push(reply)

    async def beginning_of_mail(self) -> bytes:
        """Reads to the end of the mail. Dots that begin a line stay doubled: no header of interest begins with one."""
        kept, begins_line = bytearray(), True
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as error:
                piece = await self._reader.readexactly(error.consumed)
            if begins_line and piece == b".\r\n":
                return bytes(kept)
            kept += piece[: KEPT - len(kept)]
            begins_line = piece.endswith(b"\r\n")


class Refusal(asyncio.Protocol):
    """For whom no session is left."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - which a stream's is
        transport.write(BUSY)
        transport.close()


class Listener(threading.Thread):
    """Takes what comes in by a socket, until it is stopped."""

    def __init__(self, app: Flask, listening: socket.socket) -> None:
        super().__init__(name="intake", daemon=True)
        config: Config = app.extensions["mailer.config"]
        self.hostname = config.host
        self.postbox = Postbox(app)
        self.socket = listening
        self.sessions: set[Session] = set()
        self.loop = asyncio.new_event_loop()
        self.ending = asyncio.Event()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self.serve())

    async def serve(self) -> None:
        server = await self.loop.create_server(self.session, sock=self.socket)
        await self.ending.wait()
        server.close()

    def session(self) -> asyncio.Protocol:
        return Session(self) if len(self.sessions) < MOST_SESSIONS else Refusal()

    def stop(self) -> None:
        """What has no reply yet is given to us again: leaving is repeatable."""
        self.loop.call_soon_threadsafe(self.ending.set)
        self.join()
        self.postbox.threads.shutdown()


@contextmanager
def listening(app: Flask, where: str) -> Iterator[str]:
    """Take mail at `where`, in a thread of its own; gives the address. Raises MailerError if it can't be had."""
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's, which tells of every odd command
    opened = open_socket(where)
    listener = Listener(app, opened)
    listener.start()
    try:
        yield where if where.startswith(UNIX) else "{}:{}".format(*opened.getsockname())
    finally:
        listener.stop()
        if where.startswith(UNIX):
            Path(where.removeprefix(UNIX)).unlink(missing_ok=True)


def open_socket(where: str) -> socket.socket:
    try:
        return open_unix(Path(where.removeprefix(UNIX))) if where.startswith(UNIX) else open_inet(where)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MailerError(f"can't take mail at {where} ({reason}); choose another place") from None


def open_inet(where: str) -> socket.socket:
    host, _, port = where.rpartition(":")
    host = host.strip("[]")
    return socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def open_unix(path: Path) -> socket.socket:
    """Open to every user, as a port is: the mail server is another one. A dead process's socket is taken over."""
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe, suppress(ConnectionRefusedError):
            probe.connect(str(path))
            raise OSError(None, "another process is there")
        path.unlink()
    opened = socket.socket(socket.AF_UNIX)
    try:
        opened.bind(str(path))
        path.chmod(0o666)
        opened.listen()  # at once: until then it looks like a dead process's
    except OSError:
        opened.close()
        raise
    return opened
