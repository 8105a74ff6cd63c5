"""Letters that were refused are tried again: as they would be now, and nobody gets an item twice."""

import pytest

from ..installation import RECAP, RECAP_FR, Installation
from ..servers.smtp import Mail

CALL = """---
title: A call for papers
date: 2023-09-25
key: call
---
Papers are due in a month.
"""
WRONG, RIGHT = "closed on Thursday", "closed on Friday"
REFUSED = "person0@example.org"


@pytest.fixture
def failed(here: Installation) -> int:
    """A digest of two announcements that one of two people refused."""
    here.imported(2)
    here.mail_server.answer("RCPT", "person0@", "550 5.1.1 no such user", times=1)
    digest = here.draft(RECAP, CALL)
    here.run("digest", "send", digest, "--yes")
    assert here.status(digest)["bounced"] == 1
    return digest


def retried(here: Installation, digest: int) -> list[Mail]:
    """What who had refused has got after the retry, all in all."""
    here.run("digest", "retry", digest, "--failed")
    here.run("digest", "send", digest)
    return here.letters(REFUSED)


def test_what_another_digest_has_brought_since_comes_no_more(here: Installation, failed: int) -> None:
    here.run("digest", "send", compose(here, "recap", "call"), "--yes")
    assert len(here.letters(REFUSED)) == 1
    assert len(retried(here, failed)) == 1
    assert here.status(failed)["state"] == "sent"


def compose(here: Installation, *keys: str) -> int:
    """Another digest that holds these announcements, too."""
    ids = {row["key"]: row["id"] for row in here.json("announcement", "list")}
    return int(here.run("digest", "compose", *(ids[key] for key in keys)).stdout.splitlines()[-1])


def test_only_what_nothing_else_has_brought_is_left_of_a_letter(here: Installation, failed: int) -> None:
    here.run("digest", "send", compose(here, "call"), "--yes")
    first, second = retried(here, failed)
    assert "Papers are due" in first.part("plain")
    assert WRONG in second.part("plain")
    assert "Papers are due" not in second.part("plain")


def test_a_refused_letter_comes_again_with_corrected_words(here: Installation, failed: int) -> None:
    """D-195: it has not arrived, so nobody gets two different copies."""
    here.run("announcement", "add", here.write("edited.md", RECAP.replace(WRONG, RIGHT)))
    assert "for 0 letters" in here.run("digest", "correct", failed, "--note", "It closed on Friday.").stdout
    (letter,) = retried(here, failed)
    assert RIGHT in letter.part("plain")
    assert WRONG not in letter.part("plain")


def test_a_letter_that_nothing_has_changed_for_comes_as_it_was(here: Installation, failed: int) -> None:
    def message_id() -> str:
        (delivery,) = here.json("subscriber", "show", REFUSED)["deliveries"]
        return str(delivery["message_id"])

    before = message_id()
    (letter,) = retried(here, failed)
    assert before == message_id() == letter.message["Message-ID"]


def test_who_left_meanwhile_gets_nothing(here: Installation, failed: int) -> None:
    here.run("subscriber", "unsubscribe", REFUSED)
    assert retried(here, failed) == []


def test_in_two_languages_each_gets_their_own(here: Installation) -> None:
    here.subscribed("ada@example.org", language="fr")
    here.subscribed("bob@example.org")
    here.mail_server.answer("RCPT", "@example.org", "550 5.1.1 no such user", times=2)
    digest = here.draft(RECAP, RECAP_FR)
    here.run("digest", "send", digest, "--yes")
    assert "2 letters are queued again" in here.run("digest", "retry", digest, "--failed").stdout
    here.run("digest", "send", digest)
    assert "s’est achevée" in here.letters("ada@example.org")[0].part("plain")
    assert WRONG in here.letters("bob@example.org")[0].part("plain")
