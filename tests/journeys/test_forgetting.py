"""Erasure and retention: what is forgotten, what is remembered of it, and for how long."""

import threading
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
import time_machine

from mailer.db import db
from mailer.subscriptions import retention

from ..installation import RECAP, Installation, leave_link, link_in
from ..servers import postgres

ADA = "ada.lovelace@example.org"
PERSONAL = ("ada.lovelace", "192.0.2.77", "Adas-Browser")


def traces(here: Installation, *words: str) -> list[str]:
    """Where any of these words stands: in files (the database's among them), or in PostgreSQL's rows."""
    return [name for name, content in contents(here) if any(word.encode() in content for word in words)]


def contents(here: Installation) -> Iterator[tuple[str, bytes]]:
    yield from ((path.name, path.read_bytes()) for path in here.folder.rglob("*") if path.is_file())
    url = str(here.settings["DATABASE_URL"])
    if url.startswith("postgresql"):
        yield from ((row, row.encode()) for row in postgres.rows(url.replace("+psycopg", "")))


def lived_here(here: Installation, email: str) -> str:
    """Somebody of whom an installation knows all it can know; the link in their last digest."""
    visitor = {"headers": {"User-Agent": "Adas-Browser/1"}, "environ_base": {"REMOTE_ADDR": "192.0.2.77"}}
    here.site.post("/subscribe", data={"email": email, "topics": ["policy"]}, **visitor)  # type: ignore[arg-type]
    here.run("run-due")
    here.confirm(email)
    here.run("digest", "send", here.draft(), "--yes")
    link = leave_link(here.letters(email)[-1])
    here.mail_server.answer("RCPT", email, f"451 4.2.0 <{email}> is busy", times=1)
    here.run("digest", "send", here.draft(RECAP.replace("key: recap", "key: another")), "--yes", code=1)
    return link


def test_who_is_erased_leaves_no_trace(here: Installation) -> None:
    """D-133: nothing in the whole database, its write-ahead log and the journals."""
    here.imported(300)
    link = lived_here(here, ADA)
    assert traces(here, *PERSONAL)
    assert here.run("subscriber", "erase", "ADA.Lovelace@Example.org").stdout == "erased\n"
    here.close()
    assert traces(here, *PERSONAL) == []
    assert "is not on the list" in here.error("subscriber", "show", ADA)
    assert here.counts() == {"pending": 0, "confirmed": 300, "ended": 1}
    assert here.status(1)["accepted"] == 301, "the accounts still add up"
    for answer in (here.site.get(link), here.site.post(link)):  # D-28
        assert answer.status_code == 200


def test_an_erased_person_may_come_back_by_themselves_or_by_an_import(here: Installation) -> None:
    """D-133: what the choice says is what happens."""
    here.subscribed(ADA, "benoit@example.org")
    for email in (ADA, "benoit@example.org"):
        here.run("subscriber", "erase", email)
    here.subscribed(ADA)
    done = here.run("subscriber", "import", here.write("again.csv", "email\nbenoit@example.org\n"), "--basis", "x")
    assert "added 1" in done.stdout
    assert here.json("stats")["confirmed"] == 2


def test_who_wants_no_mail_ever_again_gets_none(here: Installation) -> None:
    """D-133: the form answers as to everybody, import and `subscriber add` add nobody, and only a hash is kept."""
    here.subscribed(ADA)
    here.run("subscriber", "erase", ADA, "--never-again")
    here.run("subscriber", "erase", "stranger@example.org", "--never-again")
    assert here.sign_up(ADA) == here.sign_up("chen@example.org")
    assert "'mailer subscriber allow' lifts that" in here.error("subscriber", "add", ADA)
    rows = f"email\n{ADA.upper()}\nstranger@example.org\n"
    done = here.run("subscriber", "import", here.write("people.csv", rows), "--basis", "x")
    (here.folder / "people.csv").unlink()
    assert "added 0" in done.stdout
    here.run("run-due")
    assert [mail.to for mail in here.mail_server.mails] == ["chen@example.org"]
    here.close()
    assert traces(here, "ada.lovelace", "ADA.LOVELACE", "stranger") == []
    here.run("subscriber", "allow", ADA)
    here.subscribed(ADA)
    assert here.json("subscriber", "show", ADA)["state"] == "confirmed"


def test_nobody_is_erased_who_is_not_there(here: Installation) -> None:
    assert "is not known here" in here.error("subscriber", "erase", ADA)
    assert "nobody of this address" in here.error("subscriber", "allow", ADA)


def test_the_promise_outlives_the_key(here: Installation) -> None:
    """The hash's key is wrapped anew in the newest SECRET_KEY, so that the old one may go."""
    here.run("subscriber", "erase", ADA, "--never-again")
    old, new = str(here.settings["SECRET_KEY"]), "n" * 40
    here.configure(SECRET_KEY=new)
    assert "put it behind the new one" in here.error("subscriber", "add", ADA)
    here.configure(SECRET_KEY=f"{new},{old}")
    here.run("run-due")
    here.configure(SECRET_KEY=new)
    assert "never to be written to again" in here.error("subscriber", "add", ADA)
    here.sign_up(ADA)
    here.run("run-due")
    assert here.mail_server.mails == []


def test_a_sign_up_that_nobody_confirms_is_gone_after_two_weeks(here: Installation) -> None:
    """D-134. Somebody who had been here before is remembered as one who left."""
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.subscribed("benoit@example.org")
        here.run("subscriber", "unsubscribe", "benoit@example.org")
        here.sign_up(ADA)
        here.sign_up("benoit@example.org")
        here.run("run-due")
        clock.move_to("2026-03-15T11:00:00Z")
        here.run("run-due")
        assert here.json("stats")["pending"] == 2
        clock.move_to("2026-03-15T12:30:00Z")
        assert "forgot 2 sign-ups that nobody confirmed" in here.run("run-due").stdout
        assert here.counts() == {"pending": 0, "confirmed": 0, "ended": 1}
        here.close()
        assert traces(here, *PERSONAL) == []
        assert here.json("subscriber", "show", "benoit@example.org")["ended_reason"] == "expired"
        answer = here.site.post(link_in(here.letters(ADA)[0], "confirm"))
        assert answer.status_code == 410


def test_who_left_is_remembered_only_by_a_hash(here: Installation) -> None:
    """D-134: after four weeks no address is left, no import revives them, and coming back is their own choice: then
    the link in their oldest letter works again."""
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        link = lived_here(here, ADA)
        here.site.post(link)
        clock.move_to("2026-03-29T11:00:00Z")
        here.run("run-due")
        assert here.json("subscriber", "show", ADA)["state"] == "ended"
        clock.move_to("2026-03-29T13:00:00Z")
        assert "forgot 1 addresses of people who left" in here.run("run-due").stdout
        here.close()
        assert traces(here, "ada.lovelace") == []
        assert here.json("subscriber", "show", ADA)["consent"], "the evidence can still be shown to who asks"
        done = here.run("subscriber", "import", here.write("people.csv", f"email\n{ADA}\n"), "--basis", "x")
        assert "added 0, already on the list 0, left before 1" in done.stdout
        here.subscribed(ADA)
        assert here.counts() == {"pending": 0, "confirmed": 1, "ended": 0}
        here.site.post(link)
        assert here.json("stats")["ended"] == 1


def test_evidence_is_kept_for_its_term_and_no_longer(here: Installation) -> None:
    """D-134: then nothing is known but that somebody of this address left."""
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.site.post(lived_here(here, ADA))
        for moment in ("2026-04-01T12:00:00Z", "2029-02-27T12:00:00Z"):
            clock.move_to(moment)
            here.run("run-due")
            assert traces(here, "192.0.2.77")
        clock.move_to("2029-03-01T12:00:00Z")
        assert "forgot 1 people who left long ago" in here.run("run-due").stdout
        here.close()
        assert traces(here, *PERSONAL) == []
        done = here.run("subscriber", "import", here.write("people.csv", f"email\n{ADA}\n"), "--basis", "x")
        assert "left before 1" in done.stdout
        here.subscribed(ADA)
        done = here.run("subscriber", "import", here.folder / "people.csv", "--basis", "x")
        assert "already on the list 1, left before 0" in done.stdout


def test_what_servers_said_is_kept_for_ninety_days(here: Installation) -> None:
    """D-134: what became of each letter stays in the accounts."""
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.imported(3)
        here.mail_server.answer("RCPT", "person1@", "550 5.1.1 no such user", times=1)
        here.run("digest", "send", here.draft(), "--yes")
        clock.move_to("2026-05-30T11:00:00Z")
        here.run("run-due")
        assert "no such user" in here.run("digest", "report", 1).stdout
        clock.move_to("2026-05-30T13:00:00Z")
        assert "forgot 3 replies of mail servers" in here.run("run-due").stdout
        assert [row["reply"] for row in here.json("digest", "report", 1)] == [None, None, None]
        assert (here.status(1)["accepted"], here.status(1)["bounced"]) == (2, 1)
        clock.move_to("2026-05-30T15:00:00Z")
        assert here.run("run-due").stdout == "nothing is due\n"


def before_it_commits(here: Installation, what: str, do: Callable[[], object]) -> list[threading.Thread]:
    """Let `do` run in a thread of its own, once, while a transaction that said `what` to the database is still open: to
    its end, or until it waits for that one."""
    begun: list[threading.Thread] = []
    said = threading.local()

    def listen(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        said.it = getattr(said, "it", False) or statement.startswith(what)

    def go(_conn: object) -> None:
        if getattr(said, "it", False) and not begun:
            begun.append(threading.Thread(target=do))
            begun[0].start()
            begun[0].join(0.5)

    with here.app.app_context():
        sa.event.listen(db.engine, "before_cursor_execute", listen)
        sa.event.listen(db.engine, "commit", go)
    return begun


@pytest.mark.parametrize("left", [False, True])
def test_who_comes_while_they_are_being_forgotten_is_welcome(here: Installation, left: bool) -> None:
    """D-134: somebody whose old request, or old address, is let go of signs up at that very moment."""
    with time_machine.travel("2026-01-10T12:00:00Z") as clock:
        was_here(here, left=left)
        clock.move_to("2026-03-10T12:00:00Z")
        answers: list[str] = []
        what = "UPDATE subscriber" if left else "DELETE FROM subscriber"
        begun = before_it_commits(here, what, lambda: answers.append(here.sign_up(ADA)))
        tidy(here)
        begun[0].join(20)
        here.mail_server.mails.clear()
        here.run("run-due")
        assert len(answers) == 1
        assert here.counts() == {"pending": 1, "confirmed": 0, "ended": 0}
        here.confirm(ADA)


@pytest.mark.parametrize("left", [False, True])
def test_nobody_is_forgotten_who_just_came(here: Installation, left: bool) -> None:
    """D-134: the other way round, retention comes while the sign-up is being written."""
    with time_machine.travel("2026-01-10T12:00:00Z") as clock:
        was_here(here, left=left)
        clock.move_to("2026-03-10T12:00:00Z")
        begun = before_it_commits(here, "INSERT INTO delivery", lambda: tidy(here))
        here.sign_up(ADA)
        begun[0].join(20)
        here.mail_server.mails.clear()
        here.run("run-due")
        assert here.counts() == {"pending": 1, "confirmed": 0, "ended": 0}
        here.confirm(ADA)


def was_here(here: Installation, *, left: bool) -> None:
    """ADA once asked, and perhaps confirmed and left."""
    here.sign_up(ADA)
    if left:
        here.run("run-due")
        here.confirm(ADA)
        here.run("subscriber", "unsubscribe", ADA)


def tidy(here: Installation) -> None:
    with here.app.app_context():
        retention.tidy(threading.Event())
        db.session.remove()
