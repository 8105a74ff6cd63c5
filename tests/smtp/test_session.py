"""One SMTP session against a server that is secure, insecure, slow, rude or gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from mailer.app import create_app
from mailer.config import Config
from mailer.db import db
from mailer.delivery.session import ServerRefuses, ServerTrouble, Session
from mailer.states import DeliveryState

from ..installation import SECRET
from ..servers.smtp import HANG_UP, STALL, SmtpServer
from .certificates import Authority

LETTER = b"From: a@lists.example.org\r\nSubject: hello\r\n\r\nhello\r\n"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


@contextmanager
def session(tmp_path: Path, port: int, **settings: Any) -> Iterator[Session]:
    values = {"mail_server": "localhost", "mail_timeout": 0.5, "base_url": "https://lists.example.org", **settings}
    config = Config(secret_key=(SECRET,), database_url=f"sqlite:///{tmp_path}/none.db", mail_port=port, **values)
    app: Flask = create_app(config)
    with app.app_context():
        opened = Session(app.extensions["mail"], config)
        try:
            yield opened
        finally:
            opened.close()
            db.engine.dispose()


def send(opened: Session) -> DeliveryState:
    return opened.deliver("news@lists.example.org", "ada@example.org", LETTER).state


@pytest.mark.parametrize(("implicit", "setting"), [(True, "mail_use_ssl"), (False, "mail_use_tls")])
def test_mail_goes_out_over_verified_tls(tmp_path: Path, authority: Authority, *, implicit: bool, setting: str) -> None:
    with SmtpServer(tls=authority.server_context("localhost"), implicit_tls=implicit) as server:
        with session(tmp_path, server.port, **{setting: True}) as opened:
            assert send(opened) is DeliveryState.ACCEPTED
        assert server.mails[0].raw == LETTER


@pytest.mark.parametrize("fault", ["wrong name", "expired", "untrusted"])
@pytest.mark.parametrize("setting", ["mail_use_ssl", "mail_use_tls"])
def test_a_certificate_that_can_not_be_trusted_stops_before_the_login(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, fault: str, setting: str
) -> None:
    host = "elsewhere.example.org" if fault == "wrong name" else "localhost"
    tls = authority.server_context(host, expired=fault == "expired")
    if fault == "untrusted":
        monkeypatch.delenv("SSL_CERT_FILE")
    login = {"mail_username": "user", "mail_password": "password"}
    with (
        SmtpServer(tls=tls, implicit_tls=setting == "mail_use_ssl") as server,
        session(tmp_path, server.port, **{setting: True}, **login) as opened,
    ):
        with pytest.raises(ServerRefuses, match="can't be trusted"):
            send(opened)
        assert not [line for line in server.commands if "AUTH" in line.upper() or "MAIL" in line.upper()]


def test_a_server_without_starttls_gets_nothing(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port, mail_use_tls=True) as opened:
        with pytest.raises(ServerRefuses, match="offers no STARTTLS"):
            send(opened)
        assert server.mails == []


def test_the_login_is_made_and_a_wrong_one_stops_the_run(tmp_path: Path, authority: Authority) -> None:
    login = {"mail_use_tls": True, "mail_username": "user", "mail_password": "pass word"}
    with SmtpServer(tls=authority.server_context("localhost")) as server:
        server.extensions.append("AUTH PLAIN")
        with session(tmp_path, server.port, **login) as opened:
            assert send(opened) is DeliveryState.ACCEPTED
        assert "AUTH '\\x00user\\x00pass word'" in server.commands
        server.answer("AUTH", "", "535 5.7.8 wrong password")
        with session(tmp_path, server.port, **login) as opened, pytest.raises(ServerRefuses, match="535"):
            send(opened)


def test_the_server_hears_the_sites_name(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        send(opened)
        assert server.commands[1].lower() == "ehlo lists.example.org"


@pytest.mark.parametrize("phase", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("fault", [STALL, HANG_UP, "421 4.3.2 closing"])
def test_trouble_before_the_message_tries_nobodys_letter(tmp_path: Path, phase: str, fault: str) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer(phase, "", fault)
        with pytest.raises(ServerTrouble):
            send(opened)
        server.rules.clear()
        assert send(opened) is DeliveryState.ACCEPTED, "the session opens itself again"


@pytest.mark.parametrize("fault", ["hello there", "999 what", "25", ""])
@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA"])
def test_nonsense_is_trouble_and_never_an_outcome(tmp_path: Path, phase: str, fault: str) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer(phase, "", fault)
        with pytest.raises(ServerTrouble):
            send(opened)


def test_something_that_is_no_mail_server_is_refused(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer("CONNECT", "", "HTTP/1.1 400 Bad Request")
        with pytest.raises(ServerRefuses, match="does not speak SMTP"):
            send(opened)


def test_a_line_without_an_end_is_trouble(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer("MAIL", "", "250-" + "x" * 1_000_000)
        with pytest.raises((ServerTrouble, ServerRefuses)):
            send(opened)


@pytest.mark.parametrize("fault", [STALL, HANG_UP, "nonsense"])
def test_a_lost_reply_to_the_message_is_unknown(tmp_path: Path, fault: str) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer("DOT", "", fault)
        assert send(opened) is DeliveryState.UNKNOWN


def test_421_to_the_message_is_no_attempt(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer("DOT", "", "421 4.3.2 closing")
        with pytest.raises(ServerTrouble):
            send(opened)


def test_a_connection_that_breaks_in_mid_message_puts_the_letter_off(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer("BODY", "", HANG_UP)
        outcome = opened.deliver("a@lists.example.org", "ada@example.org", b"x" * 70 + b"\r\n" + LETTER * 500_000)
        assert outcome.state is DeliveryState.DEFERRED


def test_a_server_that_refuses_reset_gets_a_new_connection(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer("RCPT", "", "550 5.1.1 no such user", times=1)
        server.answer("RSET", "", HANG_UP)
        assert [send(opened), send(opened)] == [DeliveryState.BOUNCED, DeliveryState.ACCEPTED]
        assert server.connections == 2


def test_a_server_that_will_not_say_goodbye_masks_nothing(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer("QUIT", "", HANG_UP)
        assert send(opened) is DeliveryState.ACCEPTED
        opened.close()
        opened.close()
        assert len(server.mails) == 1


def test_a_name_that_does_not_exist_is_trouble(tmp_path: Path) -> None:
    settings = {"mail_server": "no-such-host.invalid", "mail_allow_plaintext": True}
    with session(tmp_path, 25, **settings) as opened, pytest.raises(ServerTrouble, match="can't be reached"):
        send(opened)


def test_a_server_that_never_says_a_word_is_given_up(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer("CONNECT", "", STALL)
        with pytest.raises(ServerTrouble, match="does not answer in time"):
            send(opened)
