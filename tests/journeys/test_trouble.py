"""When the mail server refuses, stalls or dies: one clear line, and nothing lost."""

import fcntl
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import time_machine

from mailer.web.visitors import TURN, WAITING

from ..installation import Installation, leave_link
from ..servers.ports import free_port
from ..servers.smtp import HANG_UP, STALL, STORE_AND_HANG_UP


def test_a_server_that_is_down_delays_and_loses_nothing(here: Installation) -> None:
    here.imported(3)
    digest, port = here.draft(), here.mail_server.port
    here.configure(MAIL_PORT=free_port())
    said = here.error("digest", "send", digest, "--yes")
    assert "can't be reached" in said
    assert f"mailer digest send {digest}" in said
    assert here.status(digest)["queued"] == 3
    here.configure(MAIL_PORT=port)
    here.run("digest", "send", digest, "--yes")
    assert len(here.mail_server.mails) == 3


def test_a_sign_up_is_kept_while_the_mail_server_is_down(here: Installation) -> None:
    port = here.mail_server.port
    here.configure(MAIL_PORT=free_port())
    here.sign_up("ada@example.org")
    assert "can't be reached" in here.error("run-due")
    here.configure(MAIL_PORT=port)
    here.run("run-due")
    here.confirm("ada@example.org")


@pytest.mark.parametrize(
    ("phase", "reply", "state"),
    [
        ("RCPT", "550 5.1.1 no such user", "bounced"),
        ("RCPT", "550 no such user here", "bounced"),
        ("RCPT", "550 5.7.1 go away", "blocked"),
        ("RCPT", "501 5.1.3 syntax", "blocked"),
        ("RCPT", "452 4.2.2 full", "deferred"),
        ("RCPT", "552 5.2.2 full", "deferred"),
        ("DOT", "554 5.7.1 spam", "blocked"),
        ("DOT", "451 4.3.0 later", "deferred"),
        ("DOT", STALL, "unknown"),
        ("DOT", HANG_UP, "unknown"),
        ("DOT", "what", "unknown"),
    ],
)
def test_one_recipients_trouble_is_theirs_alone(here: Installation, phase: str, reply: str, state: str) -> None:
    here.imported(4)
    here.mail_server.answer(phase, "person2@", reply)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes", code=1 if state == "deferred" else 0)
    account = here.status(digest)
    assert (account["accepted"], account[state]) == (3, 1)
    assert sorted(mail.to for mail in here.mail_server.mails) == [f"person{n}@example.org" for n in (0, 1, 3)]


def test_what_was_put_off_goes_out_later_and_is_the_same_letter(here: Installation) -> None:
    here.imported(1)
    here.mail_server.answer("DOT", "", "451 4.3.0 later", times=1)
    digest = here.draft()
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        assert "tries them again from" in here.run("digest", "send", digest, "--yes", code=1).stderr
        here.run("run-due")
        assert here.mail_server.mails == [], "not before its time"
        clock.move_to("2026-03-01T12:02:00Z")
        here.run("run-due")
    assert here.status(digest)["state"] == "sent"
    assert here.json("digest", "report", digest)[0]["attempts"] == 2


def test_after_three_days_the_mailer_gives_up(here: Installation) -> None:
    here.imported(1)
    here.mail_server.answer("RCPT", "", "450 4.2.0 later")
    digest = here.draft()
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.run("digest", "send", digest, "--yes", code=1)
        clock.move_to("2026-03-04T11:59:59Z")
        here.run("run-due")
    assert here.status(digest)["bounced"] == 1
    assert "gave up" in here.json("digest", "report", digest)[0]["reply"]


@pytest.mark.parametrize(("phase", "reply"), [("MAIL", "550 5.7.1 sender refused"), ("CONNECT", "554 go away")])
def test_a_server_that_refuses_us_bounces_nobody(here: Installation, phase: str, reply: str) -> None:
    here.imported(3)
    here.mail_server.answer(phase, "", reply)
    digest = here.draft()
    assert reply[:3] in here.error("digest", "send", digest, "--yes")
    assert here.status(digest)["queued"] == 3


def test_a_server_that_closes_again_and_again_counts_as_no_attempt(here: Installation) -> None:
    here.imported(30)
    for number in range(0, 30, 10):
        here.mail_server.answer("MAIL", "", "250 2.1.0 ok", times=number + 5)
        here.mail_server.answer("RCPT", f"person{number}@", "421 4.3.2 restarting", times=1)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    assert here.status(digest)["accepted"] == 30
    assert {row["attempts"] for row in here.json("digest", "report", digest)} == {1}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_site_that_falls_behind_says_so_to_those_who_sign_up(here: Installation) -> None:
    """An honest 503 at once. Leaving, and everything else, goes on."""
    here.subscribed("ada@example.org")
    here.run("digest", "send", here.draft(), "--yes")
    link = leave_link(here.letters("ada@example.org")[0])
    waiting, turn = [31], threading.Lock()
    here.app.extensions |= {WAITING: waiting.pop, TURN: turn}
    turn.acquire()
    refused = here.site.post("/subscribe", data={"email": "bob@example.org"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    waiting.append(31)
    assert here.site.post("/api/v1/subscriptions", json={"email": "bob@example.org"}).status_code == 503
    assert here.site.post(link).status_code == 200
    waiting.append(30)
    assert here.site.post("/subscribe", data={"email": "bob@example.org"}).status_code == 200
    turn.release()
    assert here.site.post("/subscribe", data={"email": "eva@example.org"}).status_code == 200, "one at a time, always"
    assert here.json("stats")["pending"] == 2


def test_a_server_that_stalls_is_given_up_in_time(here: Installation) -> None:
    here.imported(1)
    here.configure(MAIL_TIMEOUT=0.3)
    here.mail_server.answer("MAIL", "", STALL)
    digest = here.draft()
    assert "broke off at MAIL" in here.error("digest", "send", digest, "--yes")
    assert here.status(digest)["queued"] == 1


def test_a_letter_of_unknown_fate_is_held_and_named(here: Installation) -> None:
    here.imported(2)
    here.mail_server.answer("DOT", "person1@", STORE_AND_HANG_UP)
    digest = here.draft()
    said = here.run("digest", "send", digest, "--yes").stderr
    assert f"mailer digest report {digest}" in said
    here.run("digest", "send", digest, "--yes")
    here.run("run-due")
    assert len(here.mail_server.to("person1@example.org")) == 1
    report = {row["email"]: row["state"] for row in here.json("digest", "report", digest)}
    assert report == {"person0@example.org": "accepted", "person1@example.org": "unknown"}


@pytest.mark.parametrize("how", ["retry", "setting"])
def test_a_letter_of_unknown_fate_can_be_sent_again_with_the_same_bytes(here: Installation, how: str) -> None:
    here.imported(1)
    here.mail_server.answer("DOT", "", STORE_AND_HANG_UP, times=1)
    here.configure(ON_UNKNOWN="resend" if how == "setting" else "hold")
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    if how == "retry":
        here.run("digest", "retry", digest, "--unknown")
        here.run("digest", "send", digest, "--yes")
    first, second = here.mail_server.mails
    assert first.raw == second.raw
    assert here.status(digest)["accepted"] == 1


def test_a_second_sender_is_turned_away(here: Installation) -> None:
    here.imported(1)
    digest = here.draft()
    if str(here.settings["DATABASE_URL"]).startswith("sqlite"):
        with Path(f"{here.folder}/mailer.db-digest-{digest}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert "another process" in here.error("digest", "send", digest, "--yes", code=3)
    else:
        with here.app.app_context():
            from mailer.db import exclusive

            with exclusive(f"digest-{digest}"):
                assert "another process" in here.error("digest", "send", digest, "--yes", code=3)
    here.run("digest", "send", digest, "--yes")
    assert len(here.mail_server.mails) == 1


def test_a_signal_lets_the_wire_finish_and_keeps_the_rest(here: Installation) -> None:
    here.imported(200)
    here.configure(SEND_RATE=20)
    digest = here.draft()

    def interrupt() -> None:
        here.mail_server.wait_for(5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    stopped = here.run("digest", "send", digest, "--yes", code=1)
    assert f"go on with 'mailer digest send {digest}'" in stopped.stderr
    account = here.status(digest)
    assert (account["sending"], account["unknown"]) == (0, 0)
    assert 0 < account["queued"] < 200
    here.configure(SEND_RATE=0)
    here.run("digest", "send", digest)
    assert sorted(mail.to for mail in here.mail_server.mails) == sorted(f"person{n}@example.org" for n in range(200))


def test_a_paused_digest_waits_and_a_cancelled_one_ends(here: Installation) -> None:
    here.imported(2)
    digest = here.draft()
    here.mail_server.answer("MAIL", "", "450 4.7.0 slow down")
    here.run("digest", "send", digest, "--yes", code=1)
    here.run("digest", "pause", digest)
    assert "resume" in here.error("digest", "send", digest, "--yes")
    here.run("digest", "resume", digest)
    here.run("digest", "cancel", digest)
    assert here.status(digest)["cancelled"] == 2
    assert "cancelled" in here.error("digest", "send", digest, "--yes")


def test_who_leaves_in_mid_run_gets_nothing_more(here: Installation) -> None:
    here.imported(2)
    here.mail_server.answer("RCPT", "person1@", "450 4.2.0 later", times=1)
    digest = here.draft()
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.run("digest", "send", digest, "--yes", code=1)
        here.run("subscriber", "unsubscribe", "person1@example.org")
        clock.move_to("2026-03-01T12:10:00Z")
        here.run("run-due")
    assert here.mail_server.to("person1@example.org") == []
    account = here.status(digest)
    assert (account["cancelled"], account["state"]) == (1, "sent")


def test_more_letters_than_one_connection_carries(here: Installation) -> None:
    here.imported(230)
    here.configure(SEND_SESSIONS=2, SEND_PER_CONNECTION=100)
    here.run("digest", "send", here.draft(), "--yes")
    assert len({mail.to for mail in here.mail_server.mails}) == len(here.mail_server.mails) == 230
    assert (here.mail_server.most_connections, here.mail_server.connections >= 3) == (2, True)


def test_the_rate_that_is_set_is_not_exceeded(here: Installation) -> None:
    here.imported(30)
    here.configure(SEND_RATE=40)
    begun = time.monotonic()
    here.run("digest", "send", here.draft(), "--yes")
    assert time.monotonic() - begun >= 29 / 40
