"""One SMTP session on Flask-Mail's settings: verified TLS, a timeout for every phase, a reply for every letter.

Flask-Mail's own connection waits for ever, verifies no certificate and lets QUIT mask the first error; this one
keeps its settings and its place, and speaks for itself.
"""

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from types import TracebackType

import flask_mail

from mailer.config import Config
from mailer.delivery.outcomes import STATES, Outcome, Phase, Reply, Verdict, judge
from mailer.errors import MailServerError
from mailer.states import DeliveryState

LETTERS_PER_CONNECTION = 100
GOODBYE_SECONDS = 5
# RFC 5321 4.5.3.2. A shorter wait at the final dot makes duplicates of letters that were only slow to be accepted.
TIMEOUTS = {
    Phase.CONNECT: 30.0,
    Phase.STARTTLS: 120.0,
    Phase.AUTH: 120.0,
    Phase.MAIL: 300.0,
    Phase.RCPT: 300.0,
    Phase.DATA: 180.0,
    Phase.DOT: 600.0,
}
LOST = (OSError, smtplib.SMTPServerDisconnected, smtplib.SMTPResponseException)


class ServerTrouble(MailServerError):
    """The server is down, slow or closing: nobody's letter was tried, waiting helps."""


class ServerRefuses(MailServerError):
    """The server wants none of our mail, or can't be trusted: waiting doesn't help."""


class Session(flask_mail.Connection):
    """Opened on the first letter, closed after a hundred, opened again after trouble."""

    def __init__(self, mail: flask_mail.Mail, config: Config) -> None:
        super().__init__(mail)
        self.config = config

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye if the server still listens; its trouble with that is not ours."""
        if self.host and self.host.sock:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self.host.sock.settimeout(GOODBYE_SECONDS)
                self.host.quit()
        self.drop()

    def drop(self) -> None:
        """Hang up without a word: the server is past listening."""
        if self.host:
            self.host.close()
        self.host = None

    def timeout(self, phase: Phase) -> float:
        longest = self.config.mail_timeout
        return min(TIMEOUTS[phase], longest) if longest else TIMEOUTS[phase]

    @property
    def where(self) -> str:
        return f"mail server {self.mail.server}:{self.mail.port}"

    def configure_host(self) -> smtplib.SMTP:
        """Connect, secure and log in. Raises ServerTrouble or ServerRefuses."""
        host = None
        try:
            with self.phase(Phase.CONNECT):
                host = self.connect()
                if host.sock:  # a small write must not wait for the server to acknowledge the one before
                    host.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                check(Phase.CONNECT, Reply(*decoded(host.ehlo())))
            if self.mail.use_tls:
                with self.phase(Phase.STARTTLS):
                    self.secure(host)
            if self.mail.username:
                with self.phase(Phase.AUTH):
                    host.login(self.mail.username, self.mail.password or "")
        except BaseException:
            if host:
                host.close()
            raise
        return host

    def connect(self) -> smtplib.SMTP:
        server, port, name = self.mail.server, self.mail.port, self.config.host
        wait = self.timeout(Phase.CONNECT)
        if self.mail.use_ssl:
            return smtplib.SMTP_SSL(server, port, name, timeout=wait, context=trusted())
        return smtplib.SMTP(server, port, name, timeout=wait)

    def secure(self, host: smtplib.SMTP) -> None:
        if not host.has_extn("starttls"):
            raise ServerRefuses(f"{self.where} offers no STARTTLS, and mail must not go out unencrypted")
        check(Phase.STARTTLS, Reply(*decoded(host.starttls(context=trusted()))))
        check(Phase.STARTTLS, Reply(*decoded(host.ehlo())))

    @contextlib.contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        """Turn the many errors of opening a session into our two."""
        try:
            yield
        except (smtplib.SMTPException, OSError) as error:
            explain = smtp_trouble if isinstance(error, smtplib.SMTPException) else network_trouble
            raise explain(self.where, phase, error) from error

    def deliver(self, sender: str, recipient: str, message: bytes) -> Outcome:
        """One letter, one recipient. `message` is wire bytes: CRLF lines, none beginning with a dot.

        Raises ServerTrouble when the letter was not tried, ServerRefuses when the run must stop.
        """
        if self.host is None or self.num_emails >= LETTERS_PER_CONNECTION:
            self.close()
            self.host, self.num_emails = self.configure_host(), 0
        self.num_emails += 1
        try:
            outcome = self.transact(self.host, sender, recipient, message)
        except (ServerTrouble, ServerRefuses):
            self.drop()
            raise
        if outcome.state is DeliveryState.UNKNOWN:
            self.drop()
        elif outcome.state is not DeliveryState.ACCEPTED:
            self.reset()
        return outcome

    def transact(self, host: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> Outcome:
        commands = (
            (Phase.MAIL, f"MAIL FROM:<{sender}>"),
            (Phase.RCPT, f"RCPT TO:<{recipient}>"),
            (Phase.DATA, "DATA"),
        )
        for phase, command in commands:
            reply = self.ask(host, phase, command)
            verdict = judge(phase, reply)
            if phase is Phase.DATA and verdict is Verdict.PROCEED and reply.code != 354:
                raise ServerTrouble(f"{self.where} answers {reply} to DATA")
            if verdict is Verdict.STOP:
                raise ServerRefuses(f"{self.where} refuses our mail: {reply} (to {phase.upper()})")
            if verdict is Verdict.BACK_OFF:
                raise ServerTrouble(f"{self.where} is closing: {reply}")
            if verdict is not Verdict.PROCEED:
                return Outcome(STATES[verdict], str(reply))
        return self.send_body(host, message)

    def ask(self, host: smtplib.SMTP, phase: Phase, command: str) -> Reply:
        try:
            self.set_timeout(host, phase)
            host.putcmd(command)
            return known_reply(host)
        except LOST as error:
            raise ServerTrouble(f"{self.where} broke off at {phase.upper()}: {first_line(error)}") from error

    def send_body(self, host: smtplib.SMTP, message: bytes) -> Outcome:
        """Nothing is accepted before the dot; between the dot and its reply nobody can know (RFC 1047).

        Message and dot go out in one write. If that fails, the dot, its last bytes, was not sent.
        """
        try:
            self.set_timeout(host, Phase.DATA)
            host.send(message + b".\r\n")
        except LOST as error:
            self.drop()
            return Outcome(DeliveryState.DEFERRED, f"the connection broke in mid-message: {first_line(error)}")
        try:
            self.set_timeout(host, Phase.DOT)
            reply = known_reply(host)
        except LOST as error:
            return Outcome(DeliveryState.UNKNOWN, f"no reply to the message: {first_line(error)}")
        verdict = judge(Phase.DOT, reply)
        if verdict is Verdict.BACK_OFF and reply.code != 421:
            return Outcome(DeliveryState.UNKNOWN, f"no reply to the message but {reply}")
        if verdict is Verdict.BACK_OFF:
            raise ServerTrouble(f"{self.where} is closing: {reply}")
        return Outcome(STATES[verdict], str(reply))

    def reset(self) -> None:
        """Clear a refused transaction. A server that fails at this gets a new connection next time."""
        if self.host is None:
            return
        try:
            self.host.rset()
        except (OSError, smtplib.SMTPException):
            self.drop()

    def set_timeout(self, host: smtplib.SMTP, phase: Phase) -> None:
        if host.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        host.sock.settimeout(self.timeout(phase))


def check(phase: Phase, reply: Reply) -> None:
    if judge(phase, reply) is not Verdict.PROCEED:
        raise smtplib.SMTPResponseException(reply.code, reply.text)


def smtp_trouble(where: str, phase: Phase, error: Exception) -> MailServerError:
    """What a server's refusal to open a session means."""
    if isinstance(error, smtplib.SMTPResponseException):
        reply = Reply(*decoded((error.smtp_code, error.smtp_error)))
        if reply.code < 0:
            return ServerRefuses(f"{where} does not speak SMTP: {reply.text[:60]!r}")
        kind = ServerTrouble if judge(phase, reply) is Verdict.BACK_OFF else ServerRefuses
        return kind(f"{where} answers {reply} ({phase.upper()})")
    if isinstance(error, smtplib.SMTPServerDisconnected):
        late = isinstance(error.__context__, TimeoutError)
        return ServerTrouble(f"{where} {'does not answer in time' if late else 'hung up at once'}")
    return ServerRefuses(f"{where} can't be used: {error}")


def network_trouble(where: str, _phase: Phase, error: Exception) -> MailServerError:
    """What a failure below SMTP means. A certificate that can't be trusted is no reason to wait."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ServerRefuses(f"{where} has a certificate that can't be trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return ServerRefuses(f"{where} fails to speak TLS: {error.reason or error}")
    if isinstance(error, TimeoutError):
        return ServerTrouble(f"{where} does not answer in time")
    return ServerTrouble(f"{where} can't be reached: {getattr(error, 'strerror', None) or error}")


def trusted() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def decoded(reply: tuple[int, bytes | str]) -> tuple[int, str]:
    code, text = reply
    return code, text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def known_reply(host: smtplib.SMTP) -> Reply:
    """The next reply. Raises SMTPServerDisconnected for nonsense: a reply we can't read is no outcome."""
    reply = Reply(*decoded(host.getreply()))
    if not 200 <= reply.code <= 599:
        raise smtplib.SMTPServerDisconnected(f"nonsense instead of a reply: {reply.text[:60]!r}")
    return reply


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
