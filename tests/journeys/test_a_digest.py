"""From announcement files to mailboxes, as an operator and readers live it."""

import re
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import time_machine

from mailer.digests import compose
from mailer.letters import lint

from ..installation import RECAP, RECAP_FR, Installation, link_in
from ..servers.smtp import Mail

CALL = """---
title: Call for comments on a draft guide
date: 2023-10-02
type: call
deadline: 2023-11-30
key: call
---
Write to the secretariat.
"""


def test_everybody_confirmed_gets_the_digest_once_in_their_language(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.subscribed("benoit@example.org", language="fr")
    here.sign_up("never@example.org")
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    assert sorted((mail.to, mail.subject.partition(" · ")[0]) for mail in here.mail_server.mails) == [
        ("ada@example.org", "What 160 countries discussed"),
        ("benoit@example.org", "Ce dont 160 pays ont discuté"),
    ]
    assert here.status(digest)["accepted"] == 2
    assert here.status(digest)["state"] == "sent"


def test_the_bytes_on_the_wire_break_no_rule(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.subscribed("benoit@example.org", language="fr")
    here.run("digest", "send", here.draft(RECAP, RECAP_FR, CALL), "--yes")
    assert len(here.mail_server.mails) == 2
    assert [str(fault) for mail in here.mail_server.mails for fault in lint.check(mail.raw)] == []


def test_a_letter_says_all_of_the_announcement_in_both_parts(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.run("digest", "send", here.draft(RECAP, CALL), "--yes")
    mail = here.mail_server.mails[0]
    for words in ("What 160 countries discussed", "who owns what they make", "https://example.org/agenda",
                  "https://example.org/recap", "30 November 2023", "Write to the secretariat."):  # fmt: skip
        assert words in mail.part("plain"), words
        assert words in mail.part("html"), words


def test_nobody_sees_anybody_elses_address(here: Installation) -> None:
    here.imported(20)
    here.run("digest", "send", here.draft(), "--yes")
    for mail in here.mail_server.mails:
        assert set(re.findall(r"person\d+@example\.org", mail.raw.decode())) == {mail.to}


def test_each_copy_has_its_own_id_and_link(here: Installation) -> None:
    here.imported(20)
    here.run("digest", "send", here.draft(), "--yes")
    mails = here.mail_server.mails
    assert len({mail.message["Message-ID"] for mail in mails}) == 20
    assert len({link_in(mail, "unsubscribe") for mail in mails}) == 20


def test_sending_again_sends_nothing_twice(here: Installation) -> None:
    here.imported(5)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    here.run("digest", "send", digest, "--yes")
    assert len(here.mail_server.mails) == 5


def test_who_confirms_after_the_start_gets_the_next_digest(here: Installation) -> None:
    here.imported(1)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    here.subscribed("late@example.org")
    here.run("digest", "send", digest, "--yes")
    assert here.mail_server.mails == []


def test_a_digest_of_one_frequency_goes_to_those_who_chose_it(here: Installation) -> None:
    here.sign_up("monthly@example.org", frequency="monthly")
    here.sign_up("weekly@example.org", frequency="weekly")
    here.run("run-due")
    for email in ("monthly@example.org", "weekly@example.org"):
        here.confirm(email)
    here.mail_server.mails.clear()
    digest = here.json("digest", "compose", here.write("a.md", RECAP), "--frequency", "monthly")["digest"]
    here.run("digest", "send", digest, "--yes")
    assert [mail.to for mail in here.mail_server.mails] == ["monthly@example.org"]


def test_sending_asks_with_the_exact_count(here: Installation) -> None:
    here.imported(3)
    digest = here.draft()
    assert "to 3 confirmed subscribers?" in here.run("digest", "send", digest, code=1, input="n\n").stderr
    assert here.status(digest)["state"] == "draft"
    here.run("digest", "send", digest, input="y\n")
    assert here.status(digest)["accepted"] == 3


def test_an_unexpected_count_stops_the_sending(here: Installation) -> None:
    here.imported(3)
    digest = here.draft()
    assert "3 subscribers, not 2000" in here.error("digest", "send", digest, "--yes", "--expect", "2000")
    assert here.status(digest)["state"] == "draft"
    here.run("digest", "send", digest, "--yes", "--expect", "3")


def test_editing_an_announcement_after_the_start_changes_no_letter(here: Installation) -> None:
    here.imported(2)
    here.mail_server.answer("RCPT", "person1@", "450 4.2.0 later")
    digest = here.draft(RECAP)
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.run("digest", "send", digest, "--yes", code=1)
        here.run("announcement", "add", here.write("0.md", RECAP.replace("160 countries", "161 countries")))
        here.mail_server.rules.clear()
        clock.move_to("2026-03-01T12:10:00Z")
        here.run("digest", "send", digest, "--yes")
    subject = "What 160 countries discussed · Frontier Technologies, 1 Mar"
    assert {mail.subject for mail in here.mail_server.mails} == {subject}
    assert len(here.mail_server.mails) == 2


def test_a_scheduled_digest_goes_out_when_its_time_has_come(here: Installation) -> None:
    here.imported(1)
    digest = here.draft()
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.run("digest", "send", digest, "--yes", "--at", "2026-03-01T14:00")
        here.run("run-due")
        assert here.mail_server.mails == []
        clock.move_to("2026-03-01T14:00:30Z")
        here.run("run-due")
    assert len(here.mail_server.mails) == 1


def test_a_test_copy_is_marked_and_leaves_the_draft_alone(here: Installation) -> None:
    digest = here.draft()
    here.run("digest", "test", digest, "--to", "boss@example.net", "--to", "me@example.net", "--language", "fr")
    assert {mail.to for mail in here.mail_server.mails} == {"boss@example.net", "me@example.net"}
    subjects = {mail.subject.partition(" · ")[0] for mail in here.mail_server.mails}
    assert subjects == {"[TEST] Ce dont 160 pays ont discuté"}
    assert here.status(digest)["state"] == "draft"


def test_the_preview_is_what_the_subscriber_gets(here: Installation, tmp_path: Path) -> None:
    here.subscribed("benoit@example.org", language="fr")
    digest = here.draft()
    here.run("digest", "preview", digest, "--as", "benoit@example.org", "--eml", "p.eml", "--html", "p.html")
    here.run("digest", "send", digest, "--yes")
    preview = message_from_bytes((tmp_path / "p.eml").read_bytes(), policy=policy.default)
    sent = here.mail_server.mails[0]
    for kind in ("plain", "html"):
        part = preview.get_body((kind,))
        assert part
        assert without_tokens(part.get_content()) == without_tokens(sent.part(kind))
    written = (tmp_path / "p.html").read_bytes().decode()
    assert without_tokens(written) == without_tokens(sent.part("html").replace("\r\n", "\n"))


def without_tokens(part: str) -> str:
    return re.sub(r"/unsubscribe/[^?]+", "/unsubscribe/", part)


def test_no_preview_holds_a_link_by_which_somebody_could_be_unsubscribed(here: Installation, tmp_path: Path) -> None:
    here.subscribed("benoit@example.org", language="fr")
    here.run("digest", "preview", here.draft(), "--as", "benoit@example.org", "--eml", "p.eml")
    preview = Mail("", ("",), (tmp_path / "p.eml").read_bytes())
    assert preview.message["To"] == "benoit@example.org"
    assert here.site.post(link_in(preview, "unsubscribe")).status_code == 200
    assert here.counts()["confirmed"] == 1


def test_the_preview_in_the_terminal_reads_like_the_mail(here: Installation) -> None:
    shown = here.run("digest", "preview", here.draft()).stdout
    assert "Subject: What 160 countries discussed" in shown
    assert "- how models are trained\n- who owns what they make\n" in shown


def test_an_announcement_without_a_translation_says_its_language(here: Installation) -> None:
    here.subscribed("benoit@example.org", language="fr")
    here.run("digest", "send", here.draft(RECAP), "--yes")
    mail = here.mail_server.mails[0]
    assert "en anglais" in mail.part("plain")
    assert re.search(r'<td [^>]*lang="en"[^>]*>\s*<h2[^>]*>What 160 countries discussed</h2>', mail.part("html"))


def test_what_went_out_stands_in_the_archive_without_a_name(here: Installation) -> None:
    here.subscribed("ada@example.org")
    digest = here.draft()
    assert "What 160 countries" not in here.site.get("/archive").text
    here.run("digest", "send", digest, "--yes")
    mail = here.mail_server.mails[0]
    page = here.site.get(link_in(mail, "archive"))
    assert (page.status_code, "who owns what they make" in page.text) == (200, True)
    assert "What 160 countries" in here.site.get("/archive").text
    assert not re.search(r"ada@|/unsubscribe/", page.text)


def test_digests_are_listed_the_newest_first(here: Installation) -> None:
    first = here.draft()
    second = here.json("digest", "compose", "1", "--title", "Second")["digest"]
    assert [each["digest"] for each in here.json("digest", "list")] == [second, first]
    assert "Second" in here.run("digest", "list").stdout


def test_compose_takes_what_no_digest_holds_yet(here: Installation) -> None:
    here.draft(RECAP)
    here.run("announcement", "add", here.write("call.md", CALL))
    shown = here.run("digest", "compose").stdout
    assert ("Call for comments" in shown, "What 160" in shown) == (True, False)
    since = here.run("digest", "compose", "--since", "2023-10-01").stdout
    assert ("Call for comments" in since, "What 160" in since) == (True, False)


@pytest.mark.parametrize("name", ["intro", "title"])
def test_title_and_introduction_stand_in_the_letter(here: Installation, name: str) -> None:
    given = {"title": "Nouvelles de septembre", "intro": here.write("intro.md", "Dear *readers*,")}
    here.run("digest", "compose", here.write("a.md", RECAP), f"--{name}", given[name])
    words = {"title": "Nouvelles de septembre", "intro": "Dear readers,"}[name]
    assert words in here.run("digest", "preview", 1).stdout


def test_the_headings_of_an_introduction_stand_below_the_title(here: Installation) -> None:
    intro = here.write("intro.md", "# This month\n\n## And next")
    here.run("digest", "compose", here.write("a.md", RECAP), "--intro", intro, "--title", "News")
    here.run("digest", "preview", 1, "--html", "p.html")
    page = (here.folder / "p.html").read_text(encoding="utf-8")
    assert re.findall(r"<(h\d)[^>]*>([^<]+)</", page)[:3] == [("h1", "News"), ("h2", "This month"), ("h3", "And next")]


def test_only_what_went_out_can_be_read_in_the_archive(here: Installation) -> None:
    here.imported(2)
    here.mail_server.answer("RCPT", "person1@", "450 4.2.0 later")
    begun = here.draft()
    here.run("digest", "send", begun, "--yes", code=1)
    here.run("digest", "cancel", begun)
    assert here.site.get(link_in(here.mail_server.mails[0], "archive")).status_code == 200
    secret = here.json("digest", "compose", 1, "--title", "Never sent")["digest"]
    with time_machine.travel("2026-03-01T12:00:00Z"):
        here.run("digest", "send", secret, "--yes", "--at", "2026-03-02T12:00")
    here.run("digest", "cancel", secret)
    with here.app.app_context():
        slug = compose.find(secret).slug
    assert here.site.get(f"/archive/{slug}").status_code == 404
