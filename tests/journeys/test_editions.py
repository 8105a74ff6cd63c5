"""What each person gets of a digest: their language, their topics, nothing twice, in the words that were approved."""

import re

import sqlalchemy as sa
import time_machine
from flask_migrate import downgrade, upgrade

from mailer.db import db
from mailer.models import Edition

from ..installation import RECAP, RECAP_FR, Installation


def news(key: str, topics: str = "") -> str:
    return f"---\ntitle: About {key}\ndate: 2026-01-31\nkey: {key}\ntopics: [{topics}]\n---\nNews of {key}.\n"


def people(here: Installation, rows: str) -> None:
    path = here.write("people.csv", f"email,language,topics\n{rows}")
    here.run("subscriber", "import", path, "--basis", "a test")


def texts(here: Installation, email: str) -> list[str]:
    return [letter.part("plain") for letter in here.letters(email)]


def compose(here: Installation, *args: object) -> int:
    return int(here.run("digest", "compose", *args).stdout.splitlines()[-1])


def send(here: Installation, digest: int) -> None:
    here.run("digest", "send", digest, "--yes")


def test_everybody_gets_what_is_about_their_topics(here: Installation) -> None:
    """D-183"""
    digest = here.draft(news("law", "law, policy"), news("ai", "ai"), news("all"))
    people(
        here, "ada@example.org,en,law\nben@example.org,fr,ai policy\nchen@example.org,zh,\ndora@example.org,en,sport\n"
    )
    send(here, digest)
    got = {name: texts(here, f"{name}@example.org")[0] for name in ("ada", "ben", "chen", "dora")}
    held = {name: [key for key in ("law", "ai", "all") if f"News of {key}." in text] for name, text in got.items()}
    assert held == {"ada": ["law", "all"], "ben": ["law", "ai", "all"], "chen": ["law", "ai", "all"], "dora": ["all"]}
    with here.app.app_context():
        made = db.session.scalar(sa.select(sa.func.count()).select_from(Edition).where(Edition.digest_id == digest))
    assert made == 4, "only what is in use"


def test_who_has_nothing_left_gets_no_letter(here: Installation) -> None:
    """D-180: nothing twice, whatever digest holds it."""
    people(here, "ada@example.org,en,law\nben@example.org,en,\n")
    send(here, here.draft(news("law", "law")))
    second = here.draft(news("law", "law"), news("ai", "ai"))
    assert "a draft for 1 confirmed subscriber" in here.run("digest", "compose", 1, 2).stdout
    send(here, second)
    assert len(texts(here, "ada@example.org")) == 1
    assert ["News of law" in text for text in texts(here, "ben@example.org")] == [True, False]
    third = compose(here, 1, 2)
    assert "all of them have had its announcements" in here.error("digest", "send", third, "--yes")
    send(here, compose(here, 1, "--again"))
    assert len(texts(here, "ada@example.org")) == 2, "a reminder goes to everybody"


def test_a_letter_that_never_arrived_has_brought_nothing(here: Installation) -> None:
    people(here, "ada@example.org,en,\n")
    here.mail_server.answer("RCPT", "ada@", "550 5.1.1 no such user")
    send(here, here.draft(news("law")))
    here.mail_server.rules.clear()
    send(here, here.draft(news("law"), news("ai")))
    assert "News of law" in texts(here, "ada@example.org")[0]


def test_what_was_approved_goes_out_whatever_becomes_of_the_announcement(here: Installation) -> None:
    """D-41; a scheduled digest goes to the people of its moment."""
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        digest = here.draft(RECAP)
        here.run("digest", "send", digest, "--at", "2026-03-01T13:00+00:00", "--yes", code=0)
        here.run("announcement", "add", here.write("edited.md", RECAP.replace("closed on Thursday", "ended badly")))
        people(here, "ada@example.org,en,\n")
        preview = here.run("digest", "preview", digest).stdout
        clock.move_to("2026-03-01T13:00:01Z")
        here.run("run-due")
    for words in (preview, texts(here, "ada@example.org")[0]):
        assert "closed on Thursday" in words
        assert "ended badly" not in words


SIGNED = RECAP.replace("key: recap", "key: recap\nauthor: Amina Diallo")


def test_who_wrote_an_announcement_is_told_wherever_it_is_read(here: Installation) -> None:
    """As its translation calls them, else as the original does; as they were called when it was approved."""
    people(here, "ada@example.org,en,\nben@example.org,fr,\nchen@example.org,zh,\n")
    digest = here.draft(SIGNED, RECAP_FR.replace("language: fr", "language: fr\nauthor: Mme Diallo"))
    assert "News · 22 September 2023 · by Amina Diallo\n" in here.run("digest", "preview", digest).stdout
    send(here, digest)
    here.run("announcement", "add", here.write("edited.md", SIGNED.replace("Amina", "Fatou")))
    for name, words, marked in (
        ("ada", "by Amina Diallo", "by <bdi>Amina Diallo</bdi>"),
        ("ben", "par Mme Diallo", "par <bdi>Mme Diallo</bdi>"),
        ("chen", "作者：Amina Diallo", "作者：<bdi>Amina Diallo</bdi>"),
    ):
        (letter,) = here.letters(f"{name}@example.org")
        assert f" · {words}" in letter.part("plain")
        assert f" · {marked}" in letter.part("html")
        page = here.site.get(f"/archive/{slug(here)}?lang={letter.message['Content-Language']}").text
        assert f" · {marked}" in page


def test_nothing_is_said_of_an_author_who_is_not_named(here: Installation) -> None:
    """Also of words that were frozen before authors were kept."""
    people(here, "ada@example.org,en,\n")
    send(here, here.draft(RECAP))
    with here.app.app_context():
        db.session.remove()
        downgrade(revision="0008")
        upgrade()
    (letter,) = here.letters("ada@example.org")
    shown = here.run("digest", "preview", 1).stdout
    for words in (letter.part("plain"), shown, here.site.get(f"/archive/{slug(here)}?lang=en").text):
        assert "22 September 2023" in words
        assert "by " not in words.partition("22 September 2023")[2][:10]
    assert "nothing of digest 1 has changed" in here.error("digest", "correct", 1)


def test_an_introduction_comes_in_the_readers_language_or_is_marked(here: Installation) -> None:
    """D-192"""
    people(here, "ada@example.org,en,\nben@example.org,fr,\nchen@example.org,zh,\n")
    english = here.write("intro.md", "Dear *readers*,")
    arabic = here.write("intro.ar.md", "---\nlanguage: ar\ntitle: أخبار\n---\nأهلا")
    french = here.write("intro.fr.md", "---\nlanguage: fr\ntitle: Nouvelles\n---\nChers *lecteurs*,")
    path = here.write("recap.md", RECAP)
    digest = compose(here, "--title", "News", "--intro", english, "--intro", french, "--intro", arabic, path)
    send(here, digest)
    ben, chen = here.letters("ben@example.org")[0], here.letters("chen@example.org")[0]
    assert "Nouvelles" in str(ben.message["Subject"])
    assert "Chers lecteurs," in ben.part("plain")
    assert "<em>readers</em>" in chen.part("html")
    assert re.search(r'<div lang="en" dir="ltr"[^>]*><p[^>]*>Dear', chen.part("html"))
    assert "Chers" in here.site.get(f"/archive/{slug(here)}?lang=fr").text
    assert "second introduction in 'en'" in here.error("digest", "compose", "--intro", english, "--intro", english, 1)
    wrong = here.write("wrong.md", "---\nlanguage: tlh\n---\nQapla'")
    assert "'tlh' is not one of this list's" in here.error("digest", "compose", "--intro", wrong, 1)


def slug(here: Installation) -> str:
    found = re.search(r"/archive/(\d{4}-[a-z0-9-]+)", here.site.get("/archive").text)
    assert found
    return found[1]


def test_a_draft_is_put_in_order_by_hand(here: Installation) -> None:
    digest = here.draft(news("a"), news("b"), news("c"), news("d"))
    assert [line.split()[0] for line in here.run("digest", "order", digest, 3, 1).stdout.splitlines()] == [
        "3",
        "1",
        "2",
        "4",
    ]
    here.run("digest", "drop", digest, 2)
    assert [line.split()[0] for line in here.run("digest", "add", digest, 2, 3).stdout.splitlines()] == [
        "3",
        "1",
        "4",
        "2",
    ]
    text = here.run("digest", "preview", digest).stdout
    places = [text.rindex(f"News of {key}.") for key in "cadb"]
    assert places == sorted(places)
    assert "does not stand in digest 1" in here.error("digest", "order", digest, 9)
    assert "nothing would be left" in here.error("digest", "drop", digest, 1, 2, 3, 4)
    here.imported(1)
    send(here, digest)
    assert "only a draft's announcements can be changed" in here.error("digest", "order", digest, 2)


def test_digests_from_before_keep_their_words_and_who_got_them(here: Installation) -> None:
    """The upgrade of an installation that people use, and back."""
    people(here, "ada@example.org,en,\n")
    send(here, compose(here, "--intro", here.write("intro.md", "Dear *readers*,"), here.write("recap.md", RECAP)))
    with here.app.app_context():
        db.session.remove()
        downgrade(revision="0005")
        assert db.session.scalar(sa.text("SELECT intro FROM digest")) == "Dear *readers*,"
        db.session.remove()
        upgrade()
    assert "Dear readers," in here.run("digest", "preview", 1).stdout
    assert "a draft for 0 confirmed subscribers" in here.run("digest", "compose", 1).stdout


def test_more_than_a_letter_can_hold_is_refused(here: Installation) -> None:
    paths = [here.write(f"{number}.md", news(f"n{number}")) for number in range(61)]
    assert "at most 60 announcements, and these are 61" in here.error("digest", "compose", *paths)
