"""Sending with care: who would get a digest, a few letters before the others, what one provider refused once more."""

from datetime import timedelta

import pytest

from mailer.db import now

from ..installation import RECAP, Installation
from .test_processes import serving

SILENT = RECAP + "\n![](https://example.org/room.png)\n"
PEOPLE = "email,language\n" + "".join(f"person{n}@example.org,{'fr' if n < 3 else 'en'}\n" for n in range(10))


@pytest.fixture
def people(here: Installation) -> None:
    """Three of ten read French."""
    here.run("subscriber", "import", here.write("people.csv", PEOPLE), "--basis", "a test")


@pytest.mark.usefixtures("people")
def test_a_dry_run_says_who_would_get_what_and_does_nothing(here: Installation) -> None:
    """D-86."""
    digest = here.draft()
    said = here.run("digest", "send", digest, "--dry-run").stdout
    assert "to 10 confirmed subscribers" in said
    assert [line.split() for line in said.splitlines()[1:3]] == [["en", "7"], ["fr", "3"]]
    assert "2 different letters; nothing was sent" in said
    found = here.json("digest", "send", digest, "--dry-run")
    expected = {"digest": digest, "state": "draft", "would_enlist": 10, "languages": {"en": 7, "fr": 3}, "editions": 2}
    assert found == expected
    assert (here.status(digest)["state"], here.status(digest)["enlisted"], here.mail_server.mails) == ("draft", 0, [])


@pytest.mark.usefixtures("people")
def test_a_dry_run_refuses_what_sending_would_refuse(here: Installation) -> None:
    assert "would go to 10 subscribers, not 20" in here.error(
        "digest", "send", here.draft(), "--dry-run", "--expect", 20
    )
    assert "image-text" in here.error("digest", "send", here.draft(SILENT), "--dry-run")


def test_a_dry_run_refuses_what_nobody_would_get(here: Installation) -> None:
    assert "nobody would get digest" in here.error("digest", "send", here.draft(), "--dry-run")


@pytest.mark.usefixtures("people")
def test_a_dry_run_of_a_digest_under_way_is_its_account(here: Installation) -> None:
    digest = here.draft()
    here.run("digest", "send", digest, "--yes", "--limit", 4)
    here.run("digest", "resume", digest)
    assert (
        "10 enlisted = 6 queued, 4 accepted; nothing was sent" in here.run("digest", "send", digest, "--dry-run").stdout
    )
    assert len(here.mail_server.mails) == 4


def test_a_digest_pauses_after_as_many_letters_as_were_wanted(here: Installation) -> None:
    """D-86: exactly so many, however many connections there are; then everybody else, once."""
    here.imported(300)
    digest = here.draft()
    with serving(here):  # which would go on with it if it could
        said = here.run("digest", "send", digest, "--yes", "--limit", 37)
        assert f"mailer digest resume {digest}" in said.stderr
        status = here.status(digest)
        assert (status["state"], status["accepted"], status["queued"]) == ("paused", 37, 263)
        here.run("digest", "resume", digest)
        here.mail_server.wait_for(300)
    assert len({mail.to for mail in here.mail_server.mails}) == len(here.mail_server.mails) == 300


def test_letters_that_were_refused_count_towards_the_limit(here: Installation) -> None:
    here.imported(6)
    here.mail_server.answer("RCPT", "person0@", "550 5.1.1 no such user")
    here.mail_server.answer("RCPT", "person1@", "450 4.2.1 later")
    digest = here.draft()
    here.run("digest", "send", digest, "--yes", "--limit", 3)
    status = here.status(digest)
    assert {state: status[state] for state in ("state", "bounced", "deferred", "accepted", "queued")} == {
        "state": "paused",
        "bounced": 1,
        "deferred": 1,
        "accepted": 1,
        "queued": 3,
    }


@pytest.mark.parametrize("limit", [10, 11])
@pytest.mark.usefixtures("people")
def test_a_limit_that_nobody_is_beyond_leaves_nothing_to_resume(here: Installation, limit: int) -> None:
    digest = here.draft()
    here.run("digest", "send", digest, "--yes", "--limit", limit)
    assert (here.status(digest)["state"], here.status(digest)["accepted"]) == ("sent", 10)


def test_a_limit_is_for_what_the_command_sends_itself(here: Installation) -> None:
    digest, tomorrow = here.draft(), now() + timedelta(days=1)
    said = here.run("digest", "send", digest, "--yes", "--limit", 5, "--at", tomorrow.isoformat(), code=2).stderr
    assert "--limit" in said
    assert "--limit" in here.run("digest", "send", digest, "--limit", 0, code=2).stderr


def test_what_one_provider_refused_for_a_while_is_tried_again_by_itself(here: Installation) -> None:
    """D-89: "550 5.1.1" of a provider in trouble condemned living addresses; those of others stay as they are."""
    rows = "email\na@living.example\nb@living.example\nc@not-living.example\nd@gone.example\n"
    here.run("subscriber", "import", here.write("people.csv", rows), "--basis", "a test")
    here.mail_server.answer("RCPT", "@", "550 5.1.1 no such user", times=4)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    assert here.status(digest)["bounced"] == 4
    later = (now() + timedelta(hours=1)).isoformat()
    assert "0 letters" in here.run("digest", "retry", digest, "--failed", "--since", later).stdout
    since = (now() - timedelta(hours=1)).isoformat()
    narrower = ("--domain", "@Living.example", "--since", since)
    assert "2 letters" in here.run("digest", "retry", digest, "--failed", *narrower).stdout
    here.run("digest", "send", digest)
    assert sorted(mail.to for mail in here.mail_server.mails) == ["a@living.example", "b@living.example"]
    assert (here.status(digest)["accepted"], here.status(digest)["bounced"]) == (2, 2)


def test_the_domain_of_letters_is_named_as_people_write_it(here: Installation) -> None:
    rows = "email\na@bücher.example\nb@example.org\n"
    here.run("subscriber", "import", here.write("people.csv", rows), "--basis", "a test")
    here.mail_server.answer("RCPT", "@", "550 5.1.1 no such user", times=2)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    for nonsense in ("bücher", "a b.example", ""):
        said = here.run("digest", "retry", digest, "--failed", "--domain", nonsense, code=2).stderr
        assert "--domain" in said
    assert "1 letters" in here.run("digest", "retry", digest, "--failed", "--domain", "Bücher.example").stdout
