"""A mistake found while a digest is on its way (D-195): stopped, corrected, and no two different copies to anybody."""

import pytest
import time_machine

from mailer.digests import compose

from ..installation import RECAP, Installation
from .test_odd_cases import died_in_mid_run

WRONG, RIGHT = "closed on Thursday", "closed on Friday"


@pytest.fixture
def paused(here: Installation) -> int:
    """A digest that some have and some do not: its server began to refuse, and somebody paused it."""
    here.imported(6)
    here.configure(SEND_SESSIONS=1)
    here.mail_server.answer("RCPT", "person4@", "451 4.7.1 try later")
    here.mail_server.answer("RCPT", "person5@", "451 4.7.1 try later")
    digest = here.draft(RECAP)
    here.run("digest", "send", digest, "--yes", code=1)
    here.mail_server.rules.clear()
    here.run("digest", "pause", digest)
    return digest


def copies(here: Installation, words: str) -> set[str]:
    return {str(mail.message["To"]) for mail in here.mail_server.mails if words in mail.part("plain")}


def edit(here: Installation) -> None:
    here.run("announcement", "add", here.write("edited.md", RECAP.replace(WRONG, RIGHT)))


def test_only_who_has_not_been_sent_it_gets_the_corrected_words(here: Installation, paused: int) -> None:
    """D-195, D-41"""
    assert "nothing of digest 1 has changed" in here.error("digest", "correct", paused)
    edit(here)
    said = here.run("digest", "correct", paused, "--note", "It closed on Friday.").stdout
    assert "for 2 letters that are still to go out" in said
    here.run("digest", "resume", paused)
    with_later(here, paused)
    assert len(copies(here, WRONG)) == 4
    assert len(copies(here, RIGHT)) == 2
    assert not copies(here, WRONG) & copies(here, RIGHT)
    assert here.status(paused)["accepted"] == 6
    assert RIGHT in here.run("digest", "preview", paused).stdout, "and the archive has the corrected words, too"


def with_later(here: Installation, digest: int) -> None:
    """Send what was put off."""
    with time_machine.travel("2100-01-01T00:00:00Z"):
        here.run("digest", "send", digest, code=0)


def test_a_letter_that_may_have_arrived_is_sent_again_as_it_was(here: Installation) -> None:
    """D-195: never two different copies to one person."""
    here.imported(2)
    digest = here.draft(RECAP)
    here.run("digest", "send", digest, "--yes")
    died_in_mid_run(here, digest)
    here.run("digest", "pause", digest)
    edit(here)
    assert "for 0 letters" in here.run("digest", "correct", digest).stdout
    here.run("digest", "resume", digest)
    here.run("digest", "retry", digest, "--unknown")
    here.run("digest", "send", digest)
    assert len(here.mail_server.mails) == 3
    assert not copies(here, RIGHT)


def test_a_digest_that_waits_for_its_time_takes_other_words(here: Installation) -> None:
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.imported(1)
        digest = here.draft(RECAP)
        here.run("digest", "send", digest, "--at", "2026-03-01T13:00+00:00", "--yes")
        here.run("digest", "correct", digest, "--intro", here.write("intro.md", "At last:"))
        edit(here)
        here.run("digest", "correct", digest, "--intro", here.write("intro.md", "Dear readers,"))
        clock.move_to("2026-03-01T13:00:01Z")
        here.run("run-due")
    (text,) = [mail.part("plain") for mail in here.mail_server.mails]
    assert (RIGHT in text, "Dear readers," in text, "At last:" in text) == (True, True, False)
    with here.app.app_context():
        found = compose.find(digest)
        assert (found.erratum, found.corrected_at, found.revision) == (None, None, 3)


def test_the_archive_tells_what_was_wrong(here: Installation, paused: int) -> None:
    """D-195: what the archive page reads."""
    edit(here)
    here.run("digest", "correct", paused, "--note", "It closed on Friday.")
    with here.app.app_context():
        found = compose.find(paused)
        assert found.erratum == "It closed on Friday."
        assert found.corrected_at
        slug = found.slug
    assert RIGHT in here.site.get(f"/archive/{slug}").text


def test_what_can_not_be_corrected_is_said(here: Installation, paused: int) -> None:
    here.run("digest", "resume", paused)
    assert "'mailer digest pause 1' first" in here.error("digest", "correct", paused)
    draft = here.draft(RECAP)
    assert "follows its announcements by itself" in here.error("digest", "correct", draft)
    assert "the note must be text" in here.error("digest", "correct", paused, "--note", " ")
