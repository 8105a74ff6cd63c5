"""Opening an SMTP connection on Flask-Mail's settings: connect, EHLO, verified TLS, login.

Flask-Mail's own way waits for ever and verifies no certificate, so this one takes its settings only. The standard
library speaks here, where speed is of no matter; what follows is `protocol`'s.
"""

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator

import flask_mail

from mailer.config import Config
from mailer.delivery.outcomes import Phase, Reply, Verdict, judge
from mailer.delivery.protocol import ServerRefuses, ServerTrouble
from mailer.errors import MailServerError

# RFC 5321 4.5.3.2. A shorter wait at the final dot makes duplicates of letters that were only slow to be accepted.
TIMEOUTS = {
    Phase.CONNECT: 300.0,  # until the greeting
    Phase.STARTTLS: 120.0,
    Phase.AUTH: 120.0,
    Phase.MAIL: 300.0,
    Phase.RCPT: 300.0,
    Phase.DATA: 120.0,
    Phase.DOT: 600.0,
    Phase.LONE_DOT: 600.0,
    Phase.RSET: 300.0,
    Phase.NOOP: 300.0,
}


CONNECT_SECONDS = 30.0  # for the connection itself


class Patient(smtplib.SMTP):
    """Gives a busy server longer to greet than a dead one to be reached."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened: socket.socket = super()._get_socket(host, port, min(timeout, CONNECT_SECONDS))  # type: ignore[misc]
        opened.settimeout(timeout)
        return opened


class PatientTls(Patient, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""


def timeouts(config: Config) -> dict[Phase, float]:
    """Seconds to wait for a reply in each phase."""
    longest = config.mail_timeout
    return {phase: min(seconds, longest) if longest else seconds for phase, seconds in TIMEOUTS.items()}


def server_name(mail: flask_mail.Mail) -> str:
    return f"mail server {mail.server}:{mail.port}"


def open_connection(mail: flask_mail.Mail, config: Config) -> smtplib.SMTP:
    """Connect, secure and log in. Raises ServerTrouble or ServerRefuses."""
    host, where, wait = None, server_name(mail), timeouts(config)
    try:
        with explained(where, Phase.CONNECT):
            host = connect(mail, config.host, wait[Phase.CONNECT])
            check(Phase.CONNECT, Reply(*decoded(host.ehlo())))
        if mail.use_tls:
            with explained(where, Phase.STARTTLS):
                secure(host, where)
        if mail.username:
            with explained(where, Phase.AUTH):
                host.login(mail.username, mail.password or "")
    except BaseException:
        if host:
            host.close()
        raise
    return host


def connect(mail: flask_mail.Mail, name: str, wait: float) -> smtplib.SMTP:
    if mail.use_ssl:
        host: smtplib.SMTP = PatientTls(mail.server, mail.port, name, timeout=wait, context=trusted())
    else:
        host = Patient(mail.server, mail.port, name, timeout=wait)
    if host.sock:  # a small write must not wait for the server to acknowledge the one before
        host.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return host


def secure(host: smtplib.SMTP, where: str) -> None:
    if not host.has_extn("starttls"):
        raise ServerRefuses(f"{where} offers no STARTTLS, and mail must not go out unencrypted")
    check(Phase.STARTTLS, Reply(*decoded(host.starttls(context=trusted()))))
    check(Phase.STARTTLS, Reply(*decoded(host.ehlo())))


def trusted() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@contextlib.contextmanager
def explained(where: str, phase: Phase) -> Iterator[None]:
    """Turn the many errors of opening a connection into our two."""
    try:
        yield
    except (smtplib.SMTPException, OSError) as error:
        explain = smtp_trouble if isinstance(error, smtplib.SMTPException) else network_trouble
        raise explain(where, phase, error) from error


def check(phase: Phase, reply: Reply) -> None:
    if judge(phase, reply) is not Verdict.PROCEED:
        raise smtplib.SMTPResponseException(reply.code, reply.text)


def decoded(reply: tuple[int, bytes | str]) -> tuple[int, str]:
    code, text = reply
    return code, text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


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
