"""What a hostile reading found once: ways in which letters were lost, doubled or left in doubt, or a page broke."""

import socket
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine

from mailer.db import db, exclusive
from mailer.models import Delivery, Run
from mailer.states import DeliveryState

from ..installation import RECAP, Installation
from ..servers.smtp import STORE_AND_HANG_UP

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_an_address_with_an_ampersand_hurts_nobody(here: Installation) -> None:
    for email in ("ada@example.org", "a&b@example.org", "benoit@example.org"):
        here.sign_up(email)
    here.run("run-due")
    assert sorted(mail.to for mail in here.mail_server.mails) == [
        "a&b@example.org",
        "ada@example.org",
        "benoit@example.org",
    ]


def test_a_reply_with_a_nul_is_an_outcome_like_others(here: Installation) -> None:
    here.imported(3)
    here.mail_server.answer("RCPT", "person1@", "550 5.1.1 no\0such user")
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    account = here.status(digest)
    assert (account["accepted"], account["bounced"]) == (2, 1)


def test_an_approved_digest_is_not_resumed_past_its_audience(here: Installation) -> None:
    here.imported(2)
    digest = here.draft()
    with time_machine.travel("2026-03-01T12:00:00Z"):
        here.run("digest", "send", digest, "--yes", "--at", "2026-03-02T12:00")
        assert "not paused" in here.error("digest", "resume", digest)
    here.run("digest", "send", digest, "--yes")
    assert here.status(digest)["accepted"] == 2


def test_a_digest_for_nobody_holds_no_other_up(here: Installation) -> None:
    here.imported(1)
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        nobody = here.json("digest", "compose", here.write("a.md", RECAP), "--frequency", "monthly")["digest"]
        good = here.json("digest", "compose", 1)["digest"]
        for digest in (nobody, good):
            here.run("digest", "send", digest, "--yes", "--at", "2026-03-01T13:00")
        clock.move_to("2026-03-01T13:01:00Z")
        assert "no confirmed subscriber" in here.error("run-due")
    assert here.status(good)["accepted"] == 1


def died_in_mid_run(here: Installation, digest: int, host: str = socket.gethostname()) -> None:
    """Put rows back as a killed process leaves them whose journal is lost with its disk."""
    with here.app.app_context():
        first = sa.select(sa.func.min(Delivery.id)).scalar_subquery()
        run = Run(digest_id=digest, host=host)
        db.session.add(run)
        db.session.flush()
        claimed = {"state": DeliveryState.SENDING, "run_id": run.id}
        db.session.execute(sa.update(Delivery).where(Delivery.id == first).values(claimed))
        db.session.execute(sa.text(f"UPDATE digest SET state = 'sending', sent_at = NULL WHERE id = {digest}"))
        db.session.commit()


def test_what_a_dead_sender_left_is_finished_by_what_is_due(here: Installation) -> None:
    here.imported(2)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    died_in_mid_run(here, digest)
    here.run("run-due")
    account = here.status(digest)
    assert (account["state"], account["unknown"], account["accepted"]) == ("sent", 1, 1)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_sender_on_a_machine_with_another_clock_is_not_taken_for_dead(here: Installation, hours: int) -> None:
    here.imported(2)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    died_in_mid_run(here, digest, host="elsewhere")
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours)):
        assert "another sender" in here.error("digest", "send", digest, code=3)
    assert here.status(digest)["sending"] == 1


def test_cancelling_after_a_crash_names_the_letters_in_doubt(here: Installation) -> None:
    here.imported(2)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    died_in_mid_run(here, digest)
    here.run("digest", "cancel", digest)
    account = here.status(digest)
    assert (account["sending"], account["unknown"]) == (0, 1)


def test_a_letter_put_off_and_then_lost_is_sent_again_once(here: Installation) -> None:
    here.imported(1)
    here.configure(ON_UNKNOWN="resend")
    here.mail_server.answer("DOT", "", STORE_AND_HANG_UP, times=1)
    here.mail_server.answer("RCPT", "", "450 4.2.0 later", times=1)
    digest = here.draft()
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.run("digest", "send", digest, "--yes", code=1)
        clock.move_to("2026-03-01T12:10:00Z")
        here.run("run-due")
    assert here.status(digest)["accepted"] == 1
    first, second = here.mail_server.mails
    assert first.raw == second.raw


def test_giving_up_counts_from_the_first_try(here: Installation) -> None:
    here.imported(1)
    here.mail_server.answer("MAIL", "", "421 4.3.2 closing")
    digest = here.draft()
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.run("digest", "send", digest, "--yes", code=1)  # which is no try
        here.mail_server.answer("MAIL", "", "450 4.7.0 slow down")
        clock.move_to("2026-03-09T12:00:00Z")
        here.run("digest", "send", digest, "--yes", code=1)  # which waited, as its time was long past
    assert here.status(digest)["deferred"] == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lock_says_when_it_has_died_with_its_connection(here: Installation) -> None:
    with here.app.app_context():
        with exclusive("digest-1") as still_held:
            assert still_held()
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            mine = "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            db.session.execute(sa.text(f"{others} {mine}"))
            assert not still_held()
        db.session.remove()


def test_languages_that_changed_since_the_approval_lose_nobody(here: Installation) -> None:
    here.imported(2)
    digest = here.draft()
    with time_machine.travel("2026-03-01T12:00:00Z"):
        here.run("digest", "send", digest, "--yes", "--at", "2026-03-02T12:00")
    here.configure(LANGUAGES="fr")
    with time_machine.travel("2026-03-02T12:01:00Z"):
        here.run("run-due")
    assert here.status(digest)["accepted"] == 2


@pytest.mark.parametrize("path", ["/archive/%00", "/archive/..%2f", "/confirm/%00", "/unsubscribe/%ff.1.x"])
def test_a_page_that_can_not_be_is_not_found(here: Installation, path: str) -> None:
    assert here.site.get(path).status_code == 404


def test_json_in_brackets_in_brackets_is_refused(here: Installation) -> None:
    answer = here.site.post("/api/v1/subscriptions", data="[" * 50_000, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize("said", ["x" * 60, "1.2.3.4\0", "unknown"])
def test_what_a_proxy_says_is_kept_only_if_it_is_an_address(here: Installation, said: str) -> None:
    here.configure(TRUSTED_PROXIES=1)
    answer = here.site.post(
        "/subscribe", data={"email": "ada@example.org"}, environ_overrides={"HTTP_X_FORWARDED_FOR": said}
    )
    assert answer.status_code == 200
    assert here.json("subscriber", "show", "ada@example.org")["consent"][0]["ip"] is None


@sqlite_only
def test_a_refused_test_copy_is_said(here: Installation) -> None:
    here.mail_server.answer("RCPT", "", "550 5.7.1 no")
    refused = here.run("digest", "test", here.draft(), "--to", "me@example.net", code=1)
    assert "did not take the copy to me@example.net" in refused.stderr


@sqlite_only
@pytest.mark.parametrize("command", ["status", "send", "preview"])
def test_a_number_no_database_can_hold_is_wrong_usage(here: Installation, command: str) -> None:
    assert "range" in here.run("digest", command, 2**63, code=2).stderr


@sqlite_only
def test_nobody_to_answer_sends_nothing(here: Installation) -> None:
    here.imported(1)
    digest = here.draft()
    assert here.run("digest", "send", digest, code=1, input="").stderr.endswith("mailer: nothing was sent\n")
    assert here.status(digest)["state"] == "draft"


@sqlite_only
@pytest.mark.parametrize("moment", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "2999-01-01"])
def test_evidence_from_an_impossible_time_is_refused(here: Installation, moment: str) -> None:
    path = here.write("list.csv", f"email,consent_at\nada@example.org,{moment}\n")
    assert "refused 1" in here.run("subscriber", "import", path, "--basis", "x").stdout


def test_a_dry_run_counts_a_person_once_however_long_the_file(here: Installation) -> None:
    rows = "".join(f"person{number % 600}@example.org\n" for number in range(1200))
    path = here.write("list.csv", f"email\n{rows}")
    tried = here.run("subscriber", "import", path, "--basis", "x", "--dry-run").stdout
    done = here.run("subscriber", "import", path, "--basis", "x").stdout
    assert tried.replace("would add", "added") == done
    assert "added 600, already on the list 600" in done
