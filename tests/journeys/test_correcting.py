"""A mistake found while a digest is on its way (D-195): stopped, corrected, and no two different copies to anybody."""

import pytest
import time_machine

from ..installation import RECAP, Installation

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


def test_what_can_not_be_corrected_is_said(here: Installation, paused: int) -> None:
    here.run("digest", "resume", paused)
    assert "'mailer digest pause 1' first" in here.error("digest", "correct", paused)
    draft = here.draft(RECAP)
    assert "follows its announcements by itself" in here.error("digest", "correct", draft)
    assert "the note must be text" in here.error("digest", "correct", paused, "--note", " ")
