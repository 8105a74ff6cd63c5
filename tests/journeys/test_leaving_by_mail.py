"""Who leaves by mail writes to the address in a letter's header, and that is all they have to do."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import time_machine

from mailer.intake.lmtp import MOST_RECIPIENTS, MOST_SESSIONS, Session, listening
from mailer.links import Links

from ..installation import BASE_URL, Installation, leave_link, link_in
from ..servers.lmtp import Giver
from ..servers.ports import free_port
from ..servers.smtp import Mail
from .test_processes import finish, start

OWNER = "owner@example.org"
MESSAGE = b"From: ada@example.org\r\nSubject: whatever\r\n\r\nPlease keep me on the list.\r\n"
FOREIGN = "somebody@example.net"
NOBODY = "550 5.1.1 nobody takes mail at this address"


@pytest.fixture
def by_mail(here: Installation) -> Installation:
    here.configure(INTAKE_ADDRESS="leave@lists.example.org", LIST_OWNER=OWNER)
    return here


@pytest.fixture
def giver(by_mail: Installation) -> Iterator[Giver]:
    with listening(by_mail.app, "127.0.0.1:0") as where, Giver(where) as opened:
        yield opened


def written_to(mail: Mail) -> tuple[str, str]:
    """The address and the subject that a mail program takes from a letter's header."""
    found = re.search(r"<mailto:([^>]+)>", str(mail.message["List-Unsubscribe"]))
    assert found
    parts = urlsplit(f"mailto:{found[1]}")
    return unquote(parts.path), unquote(parts.query.removeprefix("subject="))


def digest_to(here: Installation, *emails: str) -> list[str]:
    """Send a digest to new subscribers; each one's address to leave by. The mailbox is empty again."""
    here.subscribed(*emails)
    here.run("digest", "send", here.draft(), "--yes")
    found = [written_to(here.letters(email)[-1])[0] for email in emails]
    here.mail_server.mails.clear()
    return found


def events(here: Installation, email: str = "ada@example.org") -> list[tuple[str, str]]:
    return [(each["kind"], each["source"]) for each in here.json("subscriber", "show", email)["consent"]]


def links(here: Installation) -> Links:
    return Links(BASE_URL, (str(here.settings["SECRET_KEY"]),))


def test_any_mail_to_the_address_in_the_letter_is_enough(by_mail: Installation, giver: Giver) -> None:
    """D-30"""
    (address,) = digest_to(by_mail, "ada@example.org")
    assert re.fullmatch(r"leave\+[a-z2-7]{52}@lists\.example\.org", address)
    assert giver.give(MESSAGE, address) == ["250 2.0.0 done"]
    assert by_mail.counts() == {"pending": 0, "confirmed": 0, "ended": 1}
    assert giver.give(MESSAGE, address) == ["250 2.0.0 done"], "as often as one likes"
    assert events(by_mail)[-1] == ("unsubscribed", "mail")
    assert [kind for kind, _ in events(by_mail)].count("unsubscribed") == 1
    by_mail.run("run-due")
    assert by_mail.mail_server.mails == [], "nothing is ever answered"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n",
        b"\0\0\0\r\n",
        b"\xff\xfe: \x80\r\nSubject: \xe9\xff\r\n\r\n\x80\r\n",
        b"To: =?utf-8?b?a?=\r\nContent-Type: multipart/mixed; boundary=\r\n\r\n--\r\n",
        b"Subject: " + b"x" * 300_000 + b"\r\n\r\n",
        b"\r\n" + b"..\r\n.. \r\nMAIL FROM:<>\r\n" * 1000,
        b"a line that has no end of its own\r" * 100_000 + b"\n.\n\r\n",
        b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 100_000,
    ],
    ids=["empty", "blank", "nul", "8-bit", "malformed", "long", "dots", "bare", "large"],
)
def test_whatever_the_mail_holds(by_mail: Installation, giver: Giver, message: bytes) -> None:
    (address,) = digest_to(by_mail, "ada@example.org")
    assert giver.give(message, address) == ["250 2.0.0 done"]
    assert by_mail.run("intake", "--", address, input=message).stderr == ""
    assert by_mail.counts()["ended"] == 1
    assert giver.say("NOOP").startswith("250"), "the session goes on"


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        (["{}"], ""),
        (["somebody@example.net", "{}"], ""),
        ([], "X-Original-To: {}\nTo: undisclosed-recipients:;\n"),
        ([], "Delivered-To: {}\n"),
        ([], 'To: "Frontier, the list" <{}>, somebody@example.net\n'),
        ([], "From ada@example.org Sun Mar  1 12:00:00 2026\nto:\n\tlist\n <{}>\n"),
    ],
)
@pytest.mark.parametrize("changed", [str.lower, str.upper])
def test_a_mail_servers_pipe(by_mail: Installation, arguments: list[str], headers: str, changed: type) -> None:
    """D-30"""
    address = changed(digest_to(by_mail, "ada@example.org")[0])
    arguments = [each.format(address) for each in arguments]
    done = by_mail.run("intake", "--", *arguments, input=f"{headers.format(address)}Subject: x\n\nbye\n")
    assert (done.stdout, done.stderr) == ("", "")
    assert events(by_mail)[-1] == ("unsubscribed", "mail")


def test_who_left_by_mail_can_take_it_back_on_the_page(by_mail: Installation, giver: Giver) -> None:
    by_mail.subscribed("ada@example.org")
    by_mail.run("digest", "send", by_mail.draft(), "--yes")
    mail = by_mail.letters("ada@example.org")[-1]
    giver.give(MESSAGE, written_to(mail)[0])
    after = re.search(r'action="(/goodbye/[^"]+)"', by_mail.site.post(leave_link(mail)).text)
    assert after
    assert "You are subscribed" in by_mail.site.post(after[1], data={"undo": "yes"}).text
    assert by_mail.counts()["confirmed"] == 1


def test_the_address_in_a_preview_is_a_real_one_and_changes_nothing(by_mail: Installation, giver: Giver) -> None:
    by_mail.subscribed("ada@example.org")
    by_mail.run("digest", "test", by_mail.draft(), "--to", "boss@example.net")
    address, subject = written_to(by_mail.letters("boss@example.net")[0])
    assert giver.give(f"Subject: {subject}\r\n\r\n".encode(), address) == ["250 2.0.0 done"]
    assert by_mail.json("stats")["confirmed"] == 1


def test_who_has_left_by_mail_gets_no_further_digest(by_mail: Installation, giver: Giver) -> None:
    (address,) = digest_to(by_mail, "ada@example.org")
    by_mail.subscribed("benoit@example.org")
    giver.give(MESSAGE, address)
    by_mail.run("digest", "send", by_mail.draft(), "--yes")
    assert [mail.to for mail in by_mail.mail_server.mails] == ["benoit@example.org"]


@pytest.mark.parametrize("subject", ["{}", "Re: {}", "=?utf-8?q?{}?=", "UNSUBSCRIBE\r\n {token}"])
def test_letters_from_before_there_was_an_intake_still_work(here: Installation, subject: str) -> None:
    here.configure(LIST_OWNER=OWNER)
    here.subscribed("ada@example.org")
    here.run("digest", "send", here.draft(), "--yes")
    address, words = written_to(here.letters("ada@example.org")[-1])
    assert (address, words.split()[0]) == (OWNER, "unsubscribe")
    encoded = words.replace("_", "=5F").replace(" ", "_") if subject.startswith("=?") else words
    message = f"Subject: {subject.format(encoded, token=words.split()[1])}\r\n\r\n".encode()
    here.configure(INTAKE_ADDRESS="leave@lists.example.org")
    with listening(here.app, "127.0.0.1:0") as where, Giver(where) as giver:
        assert giver.give(message, OWNER, "leave@lists.example.org") == ["250 2.0.0 done"] * 2
    assert events(here)[-1] == ("unsubscribed", "mail")
    assert here.run("intake", input=message).stderr == ""


def test_letters_from_a_time_with_an_intake_work_without_one_too(by_mail: Installation) -> None:
    (address,) = digest_to(by_mail, "ada@example.org")
    by_mail.configure(INTAKE_ADDRESS="")
    with listening(by_mail.app, "127.0.0.1:0") as where, Giver(where) as giver:
        assert giver.give(MESSAGE, address, "leave@lists.example.org")[0] == "250 2.0.0 done"
    assert by_mail.counts()["ended"] == 1


def test_it_works_five_years_later_and_after_the_key_was_changed(by_mail: Installation) -> None:
    """D-27"""
    (address,) = digest_to(by_mail, "ada@example.org")
    by_mail.configure(SECRET_KEY="n" * 40 + "," + str(by_mail.settings["SECRET_KEY"]))
    with time_machine.travel("2031-11-23T12:00:00Z"):
        assert by_mail.run("intake", address, input=MESSAGE).stderr == ""
        assert by_mail.json("stats")["ended"] == 1


def forgeries(here: Installation, address: str, confirm: str) -> list[str]:
    """Addresses of the intake whose token is none, or not one to leave this list by."""
    token = address.partition("+")[2].partition("@")[0]
    uid = links(here).read_mail_token(token).subscriber_uid
    tokens = [
        "",
        "a" * 52,
        token[:-1],
        token[1:],
        token + "a",
        ("b" if token[0] == "a" else "a") + token[1:],
        confirm.split("/")[-1],
        leave_token(here, uid),
        links(here).mail_token(uid, 2),
        Links(BASE_URL, ("x" * 40,)).mail_token(uid, 1),
    ]
    return ["leave@lists.example.org", *(f"leave+{each}@lists.example.org" for each in tokens)]


def leave_token(here: Installation, uid: str) -> str:
    return links(here).unsubscribe_token(uid, 1)


def test_a_forged_or_borrowed_token_does_nothing_and_no_log_names_it(
    by_mail: Installation, giver: Giver, capsys: pytest.CaptureFixture[str]
) -> None:
    by_mail.sign_up("ada@example.org")
    by_mail.run("run-due")
    confirm = link_in(by_mail.letters("ada@example.org")[0], "confirm")
    by_mail.confirm("ada@example.org")
    by_mail.run("digest", "send", by_mail.draft(), "--yes")
    forged = forgeries(by_mail, written_to(by_mail.letters("ada@example.org")[-1])[0], confirm)
    message = f"Subject: unsubscribe {confirm.split('/')[-1]}\r\n\r\n".encode()
    capsys.readouterr()
    assert giver.give(message, *forged) == ["250 2.0.0 taken, there was nothing to do"] * len(forged)
    told = capsys.readouterr().err
    told += "".join(by_mail.run("intake", "--", each, input=message).stderr for each in forged)
    assert len(told.splitlines()) == 2 * len(forged)
    assert set(re.findall(r'"message": "([^"]*)"', told)) == {
        "a mail came in without a token of this list: nothing was done"
    }
    assert by_mail.counts()["confirmed"] == 1


def test_mail_for_others_is_given_back(by_mail: Installation, giver: Giver) -> None:
    ada, benoit = digest_to(by_mail, "ada@example.org", "benoit@example.org")
    assert giver.give(MESSAGE, FOREIGN, "leave@example.net", "postmaster") == [NOBODY] * 3
    assert giver.give(MESSAGE, OWNER) == [NOBODY], "a person's mail is not swallowed"
    assert giver.give(MESSAGE, ada, FOREIGN, benoit) == ["250 2.0.0 done", NOBODY, "250 2.0.0 done"]
    assert by_mail.counts()["ended"] == 2


def test_thousands_of_recipients(by_mail: Installation, giver: Giver) -> None:
    (address,) = digest_to(by_mail, "ada@example.org")
    said = giver.give(MESSAGE, *[address] * (MOST_RECIPIENTS + 5))
    assert said == ["250 2.0.0 done"] * MOST_RECIPIENTS + ["452 4.5.3 too many recipients"] * 5
    many = "".join(f"To: person{number}+{number:x}@example.org,\r\n" for number in range(5000))
    assert by_mail.run("intake", *[FOREIGN] * 5000, address, input=many).stderr == ""
    assert "nothing was done" in by_mail.run("intake", input=many).stderr


@pytest.mark.parametrize(
    ("headers", "sender", "letters"),
    [
        ("", "ada@example.org", 1),
        ("", "δοκιμή@example.org", 1),
        ("Auto-Submitted: no\r\n", "ada@example.org", 1),
        ("Auto-Submitted: auto-replied\r\n", "ada@example.org", 0),
        ("Precedence: bulk\r\n", "ada@example.org", 0),
        ("", "", 0),
    ],
)
def test_a_goodbye_letter_that_is_wanted_goes_to_the_subscriber_and_to_no_machine(
    by_mail: Installation, headers: str, sender: str, letters: int
) -> None:
    """D-30"""
    by_mail.configure(GOODBYE_LETTER="true")
    (address,) = digest_to(by_mail, "chen@example.org")
    with listening(by_mail.app, "127.0.0.1:0") as where, Giver(where) as giver:
        for _ in range(2):
            assert giver.give(headers.encode() + MESSAGE, address, sender=sender) == ["250 2.0.0 done"]
    by_mail.run("run-due")
    assert [mail.to for mail in by_mail.mail_server.mails] == ["chen@example.org"] * letters
    assert by_mail.counts()["ended"] == 1


def test_mail_is_kept_by_the_mail_server_while_the_database_is_in_trouble(
    by_mail: Installation, tmp_path: Path
) -> None:
    ada, benoit = digest_to(by_mail, "ada@example.org", "benoit@example.org")
    database = by_mail.settings["DATABASE_URL"]
    for elsewhere in (f"sqlite:///{tmp_path}/nowhere/mailer.db", "postgresql+psycopg://u@127.0.0.1:1/x"):
        by_mail.configure(DATABASE_URL=elsewhere)
        told = by_mail.run("intake", ada, input=MESSAGE, code=75).stderr
        assert len(told.splitlines()) == 1, told
        assert "the database can't be used" in told
        with listening(by_mail.app, "127.0.0.1:0") as where, Giver(where) as giver:
            trouble = "451 4.3.0 not now, try again"
            assert giver.give(MESSAGE, ada, FOREIGN, benoit) == [trouble, NOBODY, trouble]
    by_mail.configure(DATABASE_URL=database)
    by_mail.run("intake", ada, benoit, input=MESSAGE)
    assert by_mail.counts()["ended"] == 2


def test_settings_that_are_wrong_lose_no_mail(by_mail: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILER_INTAKE_ADDRES", "x")
    assert "did you mean INTAKE_ADDRESS?" in by_mail.run("intake", "x", input="", code=75).stderr


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"EHLO mail.example.org",
        b"RCPT TO:<",
        b"RCPT TO:<\xff@\xff>",
        b"VRFY \xff",
        b"MAIL FROM:<a@b.org> X=Y",
        b"DATA now",
        b"AUTH PLAIN",
        b"BDAT 10",
        b"\x00\xff",
        b"RCPT TO:<" + b"x" * 100_000 + b"@example.org>",
    ],
)
def test_a_mail_server_that_talks_nonsense(
    by_mail: Installation, giver: Giver, capsys: pytest.CaptureFixture[str], line: bytes
) -> None:
    giver.say("MAIL FROM:<ada@example.org>")
    assert giver.say(line)[0] in "25"
    assert giver.say("NOOP").startswith("250")
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "trace" not in told


def test_a_mail_server_that_says_all_at_once(by_mail: Installation, giver: Giver) -> None:
    (address,) = digest_to(by_mail, "ada@example.org")
    recipients = [address, FOREIGN, "leave@lists.example.org"]
    lines = ["MAIL FROM:<>", *(f"RCPT TO:<{each}>" for each in recipients), "DATA", "Subject: x", ".", "MAIL FROM:<>"]
    said = [giver.say("\r\n".join(lines)), *(giver.reply() for _ in range(7))]
    assert [words[:3] for words in said] == ["250", "250", "550", "250", "354", "250", "250", "250"]
    assert by_mail.counts()["ended"] == 1


def test_a_mail_ends_where_it_ends_whatever_its_lines_are(by_mail: Installation, giver: Giver) -> None:
    """However they fall onto what is read at once."""
    once = Session.line_length_limit
    for length in (*range(once - 4, once + 4), 2 * once, 2 * once + 1):
        for end in (b"\r\n", b"\r\r\n", b".\r\n", b"\n.\r\n", b"\r\n..\r\n", b"\r.\r\n"):
            said = giver.give(b"x" * length + end, "leave@lists.example.org")
            assert said == ["250 2.0.0 taken, there was nothing to do"]


def test_no_more_sessions_than_it_can_hold(by_mail: Installation) -> None:
    with listening(by_mail.app, "127.0.0.1:0") as where:
        with ExitStack() as opened:
            for _ in range(MOST_SESSIONS):
                opened.enter_context(Giver(where))
            with closing(Giver(where)) as refused:
                assert refused.greeting.startswith("421 4.3.2")
        for giver in (Giver(where) for _ in range(1000)):  # until the listener has noticed that they left
            giver.close()
            if giver.greeting.startswith("220"):
                return
        pytest.fail("nobody is let in any more")


@pytest.mark.parametrize("place", ["127.0.0.1:{port}", "{port}", "unix:intake.sock"])
def test_a_listener_of_its_own_ends_on_sigterm(by_mail: Installation, place: str) -> None:
    (address,) = digest_to(by_mail, "ada@example.org")
    where = place.format(port=free_port())
    process = start(by_mail, "intake", "--lmtp", where, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout
    told = re.search(r"taking mail at (\S+);", process.stdout.readline())
    assert told
    assert told[1] == (f"127.0.0.1:{where}" if where.isdecimal() else where), "this machine only, unless told"
    assert "another" in by_mail.error("intake", "--lmtp", where)
    with Giver(told[1]) as giver, Giver(told[1]):
        assert giver.give(MESSAGE, address) == ["250 2.0.0 done"]
        process.send_signal(signal.SIGTERM)
        assert finish(process)[0::2] == (0, ""), "also with sessions open"
    assert not Path("intake.sock").exists()
    assert by_mail.counts()["ended"] == 1


def test_a_socket_that_a_killed_listener_left_is_taken_over(by_mail: Installation) -> None:
    for _ in range(2):
        process = start(by_mail, "intake", "--lmtp", "unix:s", env={**os.environ, "PYTHONUNBUFFERED": "1"})
        assert process.stdout
        assert process.stdout.readline() == "taking mail at unix:s; stop with Ctrl-C\n"
        process.kill()
        finish(process)
    assert Path("s").is_socket()


def test_the_site_can_listen_too(by_mail: Installation) -> None:
    (address,) = digest_to(by_mail, "ada@example.org")
    port = free_port()
    by_mail.configure(INTAKE_LISTEN=port)
    process = start(by_mail, "serve", "--port", str(free_port()), env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout
    assert process.stdout.readline()
    with Giver(f"127.0.0.1:{port}") as giver:
        assert giver.give(MESSAGE, address) == ["250 2.0.0 done"]
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0::2] == (0, "")
    assert by_mail.counts()["ended"] == 1


@pytest.mark.parametrize("where", ["nonsense", "127.0.0.1:99999", "unix:", "x:", ""])
def test_a_place_that_is_none_is_wrong_usage(by_mail: Installation, where: str) -> None:
    assert "Invalid value for '--lmtp'" in by_mail.run("intake", "--lmtp", where, code=2).stderr
