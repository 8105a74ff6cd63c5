"""One SMTP session against a server that is secure, insecure, slow, rude or gone."""

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from mailer.app import create_app
from mailer.config import Config
from mailer.db import db
from mailer.delivery.envelope import Parcel
from mailer.delivery.opening import timeouts
from mailer.delivery.outcomes import Outcome, Phase
from mailer.delivery.protocol import Begun, Broken, Event, ServerRefuses, ServerTrouble, Settled
from mailer.delivery.session import Session
from mailer.states import DeliveryState

from ..installation import SECRET
from ..servers.smtp import HANG_UP, STALL, SmtpServer
from .certificates import Authority
from .scripts import ENVELOPE_ACCEPTED, PATIENCE, Line, ScriptServer

LETTER = b"From: a@lists.example.org\r\nSubject: hello\r\n\r\nhello\r\n"
HUGE = LETTER * 500_000  # more than any socket takes before its reader has read

ENVELOPE = b"MAIL FROM:<news@lists.example.org>\r\nRCPT TO:<person0@example.org>\r\nDATA\r\n"


IMPATIENT = {"mail_timeout": 0.5}


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


@contextmanager
def session(tmp_path: Path, port: int, **settings: Any) -> Iterator[Session]:
    values = {"mail_server": "localhost", "mail_timeout": PATIENCE, "base_url": "https://lists.example.org", **settings}
    config = Config(secret_key=(SECRET,), database_url=f"sqlite:///{tmp_path}/none.db", mail_port=port, **values)
    app: Flask = create_app(config)
    with app.app_context():
        opened = Session(app.extensions["mail"], config)
        try:
            yield opened
        finally:
            opened.close()
            db.engine.dispose()


RFC_5321 = {  # minutes, 4.5.3.2
    Phase.CONNECT: 5,
    Phase.MAIL: 5,
    Phase.RCPT: 5,
    Phase.DATA: 2,
    Phase.DOT: 10,
}


@pytest.mark.parametrize("phase", RFC_5321)
def test_a_server_may_take_as_long_as_the_standard_grants_it(phase: Phase) -> None:
    """D-71."""
    assert timeouts(Config())[phase] == 60 * RFC_5321[phase]


def parcel(number: int = 0, message: bytes = LETTER) -> Parcel:
    return Parcel(number, "news@lists.example.org", f"person{number}@example.org", message)


def send(opened: Session, message: bytes = LETTER) -> DeliveryState:
    return opened.deliver(parcel(message=message)).state


def exchange(opened: Session) -> list[Event]:
    """Write what is to be written, and read what comes."""
    return opened.push() + (opened.pull() if opened.until_ready() else opened.expire())


def look_after(opened: Session) -> list[Event]:
    """What is done with a connection that has been idle for long."""
    opened.noop()
    return until_idle(opened)


def until_idle(opened: Session) -> list[Event]:
    events = list[Event]()
    while opened.busy:
        events += exchange(opened)
    return events


def send_joined(opened: Session, parcels: list[Parcel]) -> tuple[list[Outcome], int]:
    """Over one connection, each envelope with the body before it; and how many times something was read."""
    opened.open()
    outcomes, waiting, times = list[Outcome](), parcels[1:], 0
    opened.offer(parcels[0])
    while opened.busy:
        times += 1
        for event in exchange(opened):
            assert not isinstance(event, Broken), event.trouble
            if isinstance(event, Settled):
                outcomes.append(event.outcome)
            elif isinstance(event, Begun) and waiting:
                assert opened.joins
                opened.offer(waiting.pop(0))
    return outcomes, times


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
    with SmtpServer() as server, session(tmp_path, server.port, **IMPATIENT) as opened:
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
    with SmtpServer() as server, session(tmp_path, server.port, **IMPATIENT) as opened:
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
        assert send(opened, HUGE) is DeliveryState.DEFERRED


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
    with SmtpServer() as server, session(tmp_path, server.port, **IMPATIENT) as opened:
        server.answer("CONNECT", "", STALL)
        with pytest.raises(ServerTrouble, match="does not answer in time"):
            send(opened)


# Many letters over one connection.


@pytest.mark.parametrize("encrypted", [False, True])
def test_letters_that_are_joined_arrive_as_they_are_in_one_round_trip_each(
    tmp_path: Path, authority: Authority, *, encrypted: bool
) -> None:
    parcels = [parcel(number, LETTER * (1 + number % 7)) for number in range(50)]
    tls = authority.server_context("localhost") if encrypted else None
    with SmtpServer(tls=tls) as server, session(tmp_path, server.port, mail_use_tls=encrypted) as opened:
        outcomes, _ = send_joined(opened, parcels)
        assert [outcome.state for outcome in outcomes] == [DeliveryState.ACCEPTED] * 50
        assert [(mail.to, mail.raw) for mail in server.mails] == [(each.recipient, each.message) for each in parcels]
        assert server.connections == 1


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_server_may_wait_for_the_next_envelope_before_it_says_a_word_about_a_letter(
    tmp_path: Path, authority: Authority, *, encrypted: bool
) -> None:
    def script(line: Line) -> None:
        line.greet(b"PIPELINING")
        line.hear(b"DATA\r\n")
        line.say(ENVELOPE_ACCEPTED)
        line.hear(b"\r\n.\r\nMAIL FROM:<news@lists.example.org>\r\n")
        line.hear(b"DATA\r\n")
        line.say(b"250 2.0.0 queued as 1\r\n" + ENVELOPE_ACCEPTED)
        line.hear(b"\r\n.\r\n")
        line.say(b"250 2.0.0 queued as 2\r\n")

    tls = authority.server_context("localhost") if encrypted else None
    with (
        ScriptServer(script, tls) as server,
        session(tmp_path, server.port, mail_use_ssl=encrypted) as opened,
    ):
        outcomes, times = send_joined(opened, [parcel(1), parcel(2)])
        assert [outcome.reply for outcome in outcomes] == ["250 2.0.0 queued as 1", "250 2.0.0 queued as 2"]
        assert times == 3


def filled_up(opened: Session, size: int) -> tuple[int, int]:
    """Write a letter of that size and the next one's envelope to a server that does not read: how many octets the
    socket took, and how many it did not."""
    opened.drop()
    opened.open()
    body = b"x" * (size % 72) + b"\r\n" + (b"y" * 70 + b"\r\n") * (size // 72)
    opened.offer(parcel(1, body))
    while not any(isinstance(event, Begun) for event in exchange(opened)):
        assert opened.is_open
    opened.offer(parcel(2))
    assert opened.push() == []
    left = len(opened.output)
    return len(body + b".\r\n" + ENVELOPE) - left, left


def reading_late(may_read: threading.Semaphore) -> Callable[[Line], None]:
    def script(line: Line) -> None:
        line.greet(b"PIPELINING")
        line.hear(b"DATA\r\n")
        line.say(ENVELOPE_ACCEPTED)
        may_read.acquire(timeout=PATIENCE)
        for words in (b"250 2.0.0 queued\r\n", ENVELOPE_ACCEPTED, b"250 2.0.0 queued\r\n"):
            line.hear(b"DATA\r\n" if words == ENVELOPE_ACCEPTED else b"\r\n.\r\n")
            line.say(words)

    return script


def test_a_reply_that_comes_while_the_next_envelope_is_still_going_out_is_the_reply(tmp_path: Path) -> None:
    """The dot is out by then."""
    may_read = threading.Semaphore(0)
    with ScriptServer(reading_late(may_read)) as server, session(tmp_path, server.port) as opened:
        size = len(HUGE)
        for _ in range(10):
            taken, left = filled_up(opened, size)
            if 0 < left < len(ENVELOPE):
                break
            size = taken - len(ENVELOPE) // 2
            may_read.release()
        may_read.release()
        assert select.select([opened.sock], [], [], PATIENCE)[0], "the reply has come"
        ends = [event.outcome.state for event in until_idle(opened) if isinstance(event, Settled)]
        assert ends == [DeliveryState.ACCEPTED] * 2


def test_refusals_in_between_harm_no_joined_letter(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer("RCPT", "person1@", "550 5.1.1 no such user")
        server.answer("DOT", "person2@", "554 5.6.0 bad content")
        server.answer("MAIL", "news@", "250-2.1.0 welcome\r\n250 2.1.0 ok")
        outcomes, _ = send_joined(opened, [parcel(number) for number in (0, 2, 3, 1)])
        assert [outcome.state.value for outcome in outcomes] == ["accepted", "blocked", "accepted", "bounced"]
        assert [send(opened), len(server.mails), server.connections] == [DeliveryState.ACCEPTED, 3, 1]


@pytest.mark.parametrize(
    ("limit", "keywords"), [(2, []), (500, ["LIMITS RCPTMAX=1 MAILMAX=2"]), (2, ["LIMITS MAILMAX=9"])]
)
def test_a_connection_carries_no_more_letters_than_it_may(tmp_path: Path, limit: int, keywords: list[str]) -> None:
    with SmtpServer() as server, session(tmp_path, server.port, send_per_connection=limit) as opened:
        server.extensions += keywords
        assert {send(opened) for _ in range(5)} == {DeliveryState.ACCEPTED}
        assert (server.connections, server.most_connections) == (3, 1)
        assert len([line for line in server.commands if line.upper() == "QUIT"]) == 2


# A connection that was idle.


def test_a_sign_of_life_keeps_an_idle_connection(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        send(opened)
        assert look_after(opened) == []
        assert send(opened) is DeliveryState.ACCEPTED
        assert (server.commands.count("NOOP"), server.connections) == (1, 1)


@pytest.mark.parametrize("fault", [HANG_UP, STALL, "421 4.4.2 you said nothing", "500 what?", "hello"])
def test_an_idle_connection_that_died_is_opened_anew(tmp_path: Path, fault: str) -> None:
    with SmtpServer() as server, session(tmp_path, server.port, **IMPATIENT) as opened:
        send(opened)
        server.answer("NOOP", "", fault)
        look_after(opened)
        assert send(opened) is DeliveryState.ACCEPTED
        assert server.connections == 2


def test_there_is_nothing_to_look_after_before_the_first_letter(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        assert look_after(opened) == []
        assert server.connections == 0


# Servers that are no pleasure.


@pytest.mark.parametrize("phase", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT", "RSET"])
@pytest.mark.parametrize("start", ["", "250 ", "250-"])
def test_ten_megabytes_without_an_end_are_not_listened_to(tmp_path: Path, phase: str, start: str) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.answer("RCPT", "person1@", "550 5.1.1 no such user")
        server.answer(phase, "", start + "x" * 10_000_000)
        if phase == "RSET":
            assert opened.deliver(parcel(1)).state is DeliveryState.BOUNCED
            assert send(opened) is DeliveryState.ACCEPTED, "by a fresh connection"
        elif phase == "DOT":
            assert send(opened) is DeliveryState.UNKNOWN
        else:
            with pytest.raises((ServerTrouble, ServerRefuses)):
                send(opened)
            assert server.mails == []


def close_at_once(_line: Line) -> None:
    return


def close_after_the_greeting(line: Line) -> None:
    line.say(b"220 test.example.org\r\n")


def close_after_ehlo(line: Line) -> None:
    line.greet(b"PIPELINING")


def reset_at_once(line: Line) -> None:
    line.hang_up_hard()


def reset_after_ehlo(line: Line) -> None:
    line.greet(b"PIPELINING")
    line.hang_up_hard()


@pytest.mark.parametrize(
    "script", [close_at_once, close_after_the_greeting, close_after_ehlo, reset_at_once, reset_after_ehlo]
)
def test_a_server_that_closes_at_once_has_tried_nobodys_letter(tmp_path: Path, script: Callable[[Line], None]) -> None:
    with ScriptServer(script) as server, session(tmp_path, server.port) as opened:
        for _ in range(3):
            with pytest.raises(ServerTrouble) as caught:
                send(opened)
            assert str(caught.value).isprintable(), "one line"
        assert server.connections == 3


BROKEN_KEYWORDS = [
    "SIZE many",
    "SIZE=10",
    "LIMITS MAILMAX=x",
    "LIMITS",
    "DSN-",
    "=",
    "",
    " ",
    "PIPE LINING",
    "AUTH",
    "\xff\x00",
]


@pytest.mark.parametrize("keyword", BROKEN_KEYWORDS)
def test_an_offer_that_makes_no_sense_is_no_offer(tmp_path: Path, keyword: str) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.extensions += [keyword, keyword]
        assert [send(opened), send(opened)] == [DeliveryState.ACCEPTED] * 2
        assert [line for line in server.commands if line.startswith("MAIL")] == [
            "MAIL FROM:<news@lists.example.org>"
        ] * 2


def test_a_server_without_any_extension_gets_letters_too(tmp_path: Path) -> None:
    with SmtpServer() as server, session(tmp_path, server.port) as opened:
        server.extensions.clear()
        assert [send(opened), send(opened)] == [DeliveryState.ACCEPTED] * 2
        assert not opened.joins


# Replies in mid-body.


def early(words: bytes, afterwards: Callable[[Line], None]) -> Callable[[Line], None]:
    def script(line: Line) -> None:
        line.greet(b"PIPELINING")
        line.hear(b"DATA\r\n")
        line.say(ENVELOPE_ACCEPTED)
        line.hear(LETTER)
        line.say(words)
        afterwards(line)

    return script


def close(_line: Line) -> None:
    return


def read_on(line: Line) -> None:
    line.hear(b"\r\n.\r\n")


def read_on_and_refuse(line: Line) -> None:
    line.hear(b"\r\n.\r\n")
    line.say(b"554 5.6.0 bad content\r\n")


def read_no_more(line: Line) -> None:
    time.sleep(1)


@pytest.mark.parametrize("words", [b"552 5.3.4 too big\r\n", b"451 4.3.1 disk full\r\n", b"250 2.0.0 queued\r\n"])
@pytest.mark.parametrize("afterwards", [close, read_no_more, read_on, read_on_and_refuse])
def test_a_letter_that_is_answered_before_its_end_is_put_off_whatever_was_said(
    tmp_path: Path, words: bytes, afterwards: Callable[[Line], None]
) -> None:
    with ScriptServer(early(words, afterwards)) as server, session(tmp_path, server.port, **IMPATIENT) as opened:
        assert send(opened, HUGE) is DeliveryState.DEFERRED


def test_a_yes_in_mid_body_is_not_taken_for_the_reply_to_the_dot(tmp_path: Path) -> None:
    script = early(b"250 2.0.0 so far so good\r\n", read_on_and_refuse)
    with ScriptServer(script) as server, session(tmp_path, server.port) as opened:
        assert send(opened, HUGE) is not DeliveryState.ACCEPTED
