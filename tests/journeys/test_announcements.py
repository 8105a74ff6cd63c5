"""An operator's work on announcements: importing pages and feeds, editing, looking at what is missing."""

import hashlib
import re
import ssl
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from mailer.digests.fetching import Fetcher
from mailer.digests.files import parse
from mailer.digests.importing import Wanted, fingerprint, import_all

from ..articles import SOURCES, Article, divs, well_made
from ..installation import RECAP, RECAP_FR, Installation
from ..modules.test_feeds import IMPOSSIBLE, RSS
from ..modules.test_fetching import HERE, HOST
from ..servers.web import Answer, WebServer
from ..smtp.certificates import Authority

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ARTICLE = Article.read(SOURCES[0])
OPEN_HARDWARE = "Fourth Open Hardware Forum Closes With a Plan for Shared Repair Manuals"


def test_a_page_becomes_an_announcement_and_is_known_again(here: Installation) -> None:
    page = here.write("page.html", well_made(ARTICLE))
    assert here.run("announcement", "import", page, "--dry-run").stdout == f"-  added  en  {OPEN_HARDWARE}\n"
    assert here.json("announcement", "list") == []
    added = here.run("announcement", "import", page, "--topics", "policy").stdout
    (found,) = here.json("announcement", "list")
    assert added == f"{found['id']}  added  en  {OPEN_HARDWARE}\n"
    again = here.run("announcement", "import", page)
    assert (again.stdout, again.stderr) == (added.replace("added", "unchanged"), "nothing new\n")
    assert (found["date"], found["topics"], found["source"]) == (
        "2023-10-06",
        ["policy"],
        "https://example.org/news/recap.html",
    )
    (text,) = here.json("announcement", "show", found["id"])["translations"]
    assert text["body"].startswith("Some 600 engineers")
    assert text["summary"].startswith("Some 600 engineers")
    assert [entry["act"] for entry in here.json("audit")] == ["announcement import"]


@sqlite_only
def test_what_a_page_does_not_say_can_be_said(here: Installation) -> None:
    page = here.write("page.html", divs(ARTICLE).replace(ARTICLE.day, ""))
    assert "no date (for a single page, --date gives it)" in here.error("announcement", "import", page)
    said = (
        "--date",
        "2023-10-07",
        "--url",
        "https://example.org/x",
        "--title",
        "Ours\n\ue000",
        "--type",
        "event",
        "--language",
        "fr",
    )
    assert here.run("announcement", "import", page, *said).stdout == "1  added  fr  Ours\n"
    shown = here.json("announcement", "show", 1)
    assert (shown["date"], shown["type"], shown["source"]) == ("2023-10-07", "event", "https://example.org/x")
    for wrong in (("--url", "here"), ("--topics", "Big Data"), ("--type", "rumour"), ("--date", "soon")):
        here.run("announcement", "import", page, *wrong, code=2)
    here.run("announcement", "import", page, page, "--title", "x", code=2)
    assert "'tlh' is not one of this list's" in here.error("announcement", "import", page, "--language", "tlh")
    feed = here.write("feed.xml", RSS)
    assert "are for a single page" in here.error("announcement", "import", feed, "--url", "https://example.org/x")


@sqlite_only
def test_a_page_in_another_language_joins_its_original(here: Installation) -> None:
    here.run("announcement", "add", here.write("en.md", RECAP))
    page = here.write(
        "fr.html", well_made(ARTICLE).replace("lang='en'", "lang='fr'").replace('lang="en"', 'lang="fr-CH"')
    )
    assert here.run("announcement", "import", page, "--translation-of", "recap").stdout.startswith("1  added  fr  ")
    assert here.run("announcement", "import", page, "--translation-of", "recap").stdout.startswith("1  unchanged  fr  ")
    assert here.run("announcement", "import", page).stdout.startswith("1  unchanged  fr  ")
    assert here.json("announcement", "show", 1)["languages"] == ["en", "fr"]
    assert "there is no announcement 'none'" in here.error("announcement", "import", page, "--translation-of", "none")
    german = here.write("de.html", well_made(ARTICLE).replace('lang="en"', 'lang="de"'))
    assert "it is in German (de), which is not one of this list's" in here.error("announcement", "import", german)


def test_a_feed_adds_what_is_new_and_takes_over_changes_when_asked(here: Installation) -> None:
    feed = here.write("feed.xml", RSS)
    first = here.run("announcement", "import", feed)
    assert first.stdout == "1  added  fr  Older\n2  added  fr  Newer & better\n"
    assert "1: nothing says what its image shows" in first.stderr
    again = here.run("announcement", "import", feed)
    assert again.stdout == "1  unchanged  fr  Older\n2  unchanged  fr  Newer & better\n"
    assert again.stderr == "nothing new\n"

    here.write("feed.xml", RSS.replace("Plain words", "Other words").replace("The <a", "All the <a"))
    changed = here.run("announcement", "import", feed)
    assert changed.stdout == "1  changed  fr  Older\n2  changed  fr  Newer & better\n"
    assert "--update takes that over" in changed.stderr
    assert "Plain words" in here.run("announcement", "show", 1).stdout
    editor(here, "text.replace('And more', 'And much more')")
    here.run("announcement", "edit", 2)
    updated = here.run("announcement", "import", feed, "--update")
    assert updated.stdout == "1  updated  fr  Older\n2  kept  fr  Newer & better\n"
    assert "'mailer announcement edit 2' brings the two together" in updated.stderr
    assert "Other words" in here.run("announcement", "show", 1).stdout
    assert "And much more" in here.run("announcement", "show", 2).stdout


@sqlite_only
def test_an_entry_that_can_not_be_used_keeps_no_other_one_out(here: Installation) -> None:
    bad = RSS.replace("<title>Older</title>", "").replace("</channel>", "<item><title>Undated</title></item></channel>")
    here.write("feed.xml", bad)
    good = here.write("page.html", well_made(ARTICLE))
    told = here.run("announcement", "import", "feed.xml", "missing.html", "http://e.org/", good, code=1)
    assert told.stdout == f"1  added  fr  Newer & better\n2  added  en  {OPEN_HARDWARE}\n"
    assert told.stderr.splitlines()[-4:] == [
        "mailer: feed.xml: entry 'Undated': no date (for a single page, --date gives it)",
        "feed.xml: entry 'https://example.org/1': no title (for a single page, --title gives it)",
        "missing.html: can't be read: No such file or directory",
        "http://e.org/: only addresses that begin with https:// are fetched, not 'http://e.org/'",
    ]


@sqlite_only
@pytest.mark.parametrize("moment", IMPOSSIBLE)
def test_an_entry_of_a_day_that_can_not_be_keeps_no_other_one_out(here: Installation, moment: str) -> None:
    here.configure(TIMEZONE="Asia/Tokyo")
    here.write("feed.xml", re.sub(r"<pubDate>Fri[^<]*", f"<pubDate>{moment}", RSS))
    told = here.run("announcement", "import", "feed.xml", code=1)
    assert told.stdout == "1  added  fr  Older\n"
    assert told.stderr.splitlines()[-1] == (
        "mailer: feed.xml: entry 'Newer & better': no date (for a single page, --date gives it)"
    )


@sqlite_only
def test_a_picture_that_says_nothing_to_those_who_can_not_see_it_is_in_no_letter(here: Installation) -> None:
    here.run("announcement", "import", here.write("feed.xml", RSS))
    here.run("digest", "compose", "--since", "2023-01-01")
    here.run("digest", "preview", 1, "--html", here.folder / "digest.html")
    letter = (here.folder / "digest.html").read_text()
    assert "https://example.org/i.jpg" in letter
    assert "https://example.org/m.jpg" not in letter


@sqlite_only
def test_what_was_imported_is_shown_as_a_file_that_says_the_same(here: Installation) -> None:
    words = RSS.replace("Plain words", "1. Plain *words*")
    here.run("announcement", "import", here.write("feed.xml", words), here.write("page.html", well_made(ARTICLE)))
    for number in (2, 3):
        file = here.write("shown.md", here.run("announcement", "show", number).stdout)
        assert here.run("announcement", "add", file).stdout.startswith(f"{number}  unchanged")
    wordless = here.write("shown.md", here.run("announcement", "show", 1).stdout)
    assert "image: has no image-alt" in here.error("announcement", "add", wordless)
    here.write("shown.md", wordless.read_text().replace("image-alt:", "image-alt: A room"))
    assert here.run("announcement", "add", wordless).stdout.startswith("1  updated")


@sqlite_only
def test_two_items_of_one_day_and_title_are_two(here: Installation) -> None:
    twins = RSS.replace("<title>Older</title>", "<title>Same</title>").replace(
        "</channel>",
        "<item><title>Same</title><guid>3</guid><pubDate>Thu, 21 Sep 2023 11:00:00 GMT</pubDate></item></channel>",
    )
    here.run("announcement", "import", here.write("feed.xml", twins))
    keys = [each["key"] for each in here.json("announcement", "list")]
    assert sorted(keys) == ["2023-09-21-same", "2023-09-21-same-2", "2023-09-22-newer-better"]


@sqlite_only
def test_what_an_operator_wrote_by_hand_is_not_imported_once_more(here: Installation) -> None:
    here.run(
        "announcement", "add", here.write("a.md", RECAP.replace("https://example.org/recap", "https://example.org/1"))
    )
    feed = here.write("feed.xml", RSS)
    for update in ((), ("--update",)):
        assert here.run("announcement", "import", feed, *update).stdout.splitlines()[0].startswith("1  unchanged")


@sqlite_only
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.html", "", "there is no text on it"),
        ("list.html", "<ul>" + "<li><a href='/x'>news</a></li>" * 99, "there is no text on it"),
        ("bomb.xml", "<!DOCTYPE rss [<!ENTITY a 'b'>]><rss></rss>", "entities of its own"),
        (
            "long.html",
            f"<h1>The title</h1><p>2023-09-22</p>{'<p>' + 'word ' * 99_999 + '</p>'}" * 2,
            "larger than 500 kB",
        ),
    ],
)
def test_a_file_that_can_not_be_imported(here: Installation, name: str, content: str, said: str) -> None:
    assert said in here.error("announcement", "import", here.write(name, content))
    assert here.json("announcement", "list") == []


@sqlite_only
@pytest.mark.usefixtures("app_context")
def test_a_page_and_a_feed_from_the_web(here: Installation, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    page, feed = well_made(ARTICLE).replace('<link rel="canonical"', "<link"), RSS.encode()
    site = {
        "/page": Answer(page.encode()),
        "/feed": Answer(feed, "application/rss+xml"),
        "/picture": Answer(b"GIF", "image/gif"),
    }
    with WebServer(authority.server_context(HOST), site) as server:
        trust = ssl.create_default_context(cafile=str(authority.file))
        fetcher = Fetcher(resolve=lambda *_: [HERE], is_allowed=lambda at: at == HERE, port=server.port, trust=trust)
        result = import_all([f"https://{HOST}/{name}" for name in ("page", "feed", "picture")], Wanted(), fetcher)
    assert [(each.change, each.file.title) for each in result.done] == [
        ("added", OPEN_HARDWARE),
        ("added", "Older"),
        ("added", "Newer & better"),
    ]
    assert result.done[0].file.url == f"https://{HOST}/page"
    assert result.refused == [f"https://{HOST}/picture: it is image/gif, neither a page nor a feed"]


SIGNED = RSS.replace("<title>Newer", "<author>ben@example.org (Ben)</author><title>Newer")


@sqlite_only
def test_an_author_that_a_source_has_named_since_is_a_change_like_any_other(here: Installation) -> None:
    here.run("announcement", "import", here.write("feed.xml", RSS))
    assert [each["author"] for each in here.json("announcement", "list")] == [None, "Jane Doe"]
    here.write("feed.xml", SIGNED)
    assert "2  changed  fr" in here.run("announcement", "import", "feed.xml").stdout
    assert "2  updated  fr" in here.run("announcement", "import", "feed.xml", "--update").stdout
    shown = here.run("announcement", "show", 2).stdout
    assert ("author: Ben\n" in shown, "ben@" in shown) == (True, False)


def test_what_was_imported_before_authors_were_kept_is_not_taken_for_edited() -> None:
    file = parse("---\ntitle: T\ndate: 2023-09-22\n---\nText.\n", "news.md", ("en",))
    said = '["2023-09-22", "T", "Text.", "Text.", null, null, null]'
    assert fingerprint(file) == hashlib.sha256(said.encode()).hexdigest()
    assert fingerprint(replace(file, author="Ben")) != fingerprint(file)


# Editing.


def editor(here: Installation, change: str) -> None:
    """What $EDITOR does to the file: an expression of its text, or to each in turn if there are several lines."""
    script = here.folder / "editor"
    script.write_text(
        f"""#!/usr/bin/env python3
import pathlib, sys
path, turns = pathlib.Path(sys.argv[1]), pathlib.Path({str(here.folder / "turns")!r})
turn = len(turns.read_text()) if turns.exists() else 0
turns.write_text("x" * (turn + 1))
text = path.read_text()
path.write_text(eval({change!r}.splitlines()[min(turn, {len(change.splitlines()) - 1})]))
"""
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (here.folder / "turns").unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def own_editor(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a folder of the test's own for drafts; only once the database runs, which would put its own things there."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(here.folder / "editor"))
    monkeypatch.setattr("tempfile.tempdir", str(here.folder / "drafts"))
    (here.folder / "drafts").mkdir()


@pytest.fixture
def recap(here: Installation) -> Installation:
    signed = RECAP.replace("key: recap", "key: recap\nauthor: 'Diallo: Amina'")
    here.run("announcement", "add", here.write("en.md", signed), here.write("fr.md", RECAP_FR))
    return here


def drafts(here: Installation) -> list[Path]:
    return list((here.folder / "drafts").iterdir())


def test_an_announcement_is_edited_in_all_its_languages(recap: Installation) -> None:
    editor(recap, "text.replace('was long', 'was short')\ntext")
    assert (
        recap.run("announcement", "edit", 1).stdout
        == "1  updated  en  What 160 countries discussed\n1  unchanged  fr\n"
    )
    assert "was short" in recap.run("announcement", "show", 1).stdout
    assert drafts(recap) == []


@sqlite_only
def test_a_slip_is_shown_with_its_line_and_the_editor_offered_again(recap: Installation) -> None:
    editor(recap, "text.replace('2023-09-22', 'soon')\ntext.replace('soon', '2023-09-23')")
    told = recap.run("announcement", "edit", 1, "--language", "en", input="y\n")
    assert ":3: date: 'soon' is not a date like 2026-01-31" in told.stderr
    assert told.stdout == "1  updated  en  What 160 countries discussed\n"
    assert recap.json("announcement", "show", 1)["date"] == "2023-09-23"


@sqlite_only
@pytest.mark.parametrize("answer", ["n\n", ""])
def test_a_text_that_can_not_be_saved_is_kept_in_a_file_that_is_named(recap: Installation, answer: str) -> None:
    editor(recap, "text.replace('2023-09-22', 'soon') + 'hours of work'")
    told = recap.run("announcement", "edit", 1, "--language", "en", input=answer, code=1)
    (kept,) = drafts(recap)
    assert f"your text is kept in {kept}" in told.stderr
    assert kept.read_text().endswith("hours of work")
    assert "hours" not in recap.run("announcement", "show", 1).stdout


@sqlite_only
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("text.replace('key: recap', 'key: other')", "key: stays 'recap'"),
        ("text.replace('language: en', 'language: ru')", "language: stays 'en'"),
        ("text.replace('[policy]', '[Big Data]').replace('title:', 'tytle:')", "did you mean 'title'?"),
        ("''", "no front matter"),
    ],
)
def test_what_an_edit_may_not_do(recap: Installation, change: str, said: str) -> None:
    editor(recap, change)
    assert said in recap.run("announcement", "edit", 1, "--language", "en", code=1).stderr


@sqlite_only
def test_a_new_language_begins_with_the_words_to_be_translated(recap: Installation) -> None:
    editor(recap, "text")
    assert recap.run("announcement", "edit", 1, "--language", "es").stdout == "1  unchanged  es\n"
    editor(
        recap,
        "text.replace('title:', 'title: Lo que se habló', 1) + 'La **Conversación** terminó.'"
        " * ('\\n# The **Conv' in text)",
    )
    assert recap.run("announcement", "edit", 1, "--language", "es").stdout == "1  added  es  Lo que se habló\n"
    shown = recap.json("announcement", "show", 1)
    assert [(text["language"], text["body"]) for text in shown["translations"]][2] == (
        "es",
        "La **Conversación** terminó.",
    )
    assert "'tlh' is not one of this list's" in recap.error("announcement", "edit", 1, "--language", "tlh")


@sqlite_only
def test_an_editor_that_is_not_there(recap: Installation) -> None:
    assert "EDITOR names the one to use" in recap.error("announcement", "edit", 1)


def test_a_digest_that_was_approved_keeps_its_words(here: Installation) -> None:
    here.subscribed("ada@example.org")
    digest = here.draft()
    editor(here, "text.replace('was long', 'was short')")
    assert "keeps its words" not in here.run("announcement", "edit", 1, "--language", "en").stdout
    here.run("digest", "send", digest, "--yes")
    editor(here, "text.replace('was short', 'was dull')")
    assert f"digest {digest} was approved before: it keeps its words" in here.run("announcement", "edit", 1).stdout


# Looking.


@sqlite_only
def test_what_show_prints_can_be_added_again(recap: Installation) -> None:
    for code in ("en", "fr"):
        recap.write(f"{code}.md", recap.run("announcement", "show", 1, "--language", code).stdout)
    assert [line.split()[1] for line in recap.run("announcement", "add", "en.md", "fr.md").stdout.splitlines()] == [
        "unchanged",
        "unchanged",
    ]
    assert "is not in 'ru'" in recap.error("announcement", "show", 1, "--language", "ru")


CALL = """---
title: A call
date: 2023-09-22
type: call
key: call
topics: [policy, law]
---
Words.
"""


@sqlite_only
def test_what_an_announcement_lacks_is_told(here: Installation) -> None:
    """D-184: translations, image alt, summary, address, deadlines, topics."""
    here.run("announcement", "add", here.write("call.md", CALL))
    here.run("topic", "remove", "law", "--retire")
    lacks = ["no translation: fr, es, ru, ar, zh", "no summary (en)", "no url (en)", "call without a deadline"]
    assert here.json("announcement", "show", 1)["lacking"] == [*lacks, "topic law is retired"]
    assert "lacks: no url (en)\n" in here.run("announcement", "show", 1).stderr
    assert "  !  call" in here.run("announcement", "list").stdout
    here.configure(LANGUAGES="en")
    whole = "type: call\ndeadline: 2999-01-01\nurl: https://example.org/c\nsummary: What it is about."
    here.run("announcement", "add", here.write("call.md", CALL.replace("type: call", whole).replace(", law", "")))
    assert here.json("announcement", "list")[0]["lacking"] == []
    assert "!" not in here.run("announcement", "list").stdout
    here.run("announcement", "add", here.write("call.md", CALL.replace("type: call", whole.replace("2999", "2023"))))
    assert here.json("announcement", "list")[0]["lacking"] == ["deadline passed on 2023-01-01", "topic law is retired"]


@sqlite_only
def test_all_that_is_wrong_with_a_run_of_files_is_told_at_once(here: Installation) -> None:
    files = [
        here.write("a.md", RECAP.replace("2023-09-22", "soon").replace("key:", "kee:")),
        here.write("b.md", RECAP),
        here.write("c.md", RECAP),
        here.write("d.md", RECAP_FR.replace("translation-of: recap", "translation-of: other")),
    ]
    told = here.run("announcement", "add", *files, code=1)
    assert told.stderr.removeprefix("mailer: ").splitlines() == [
        f"{here.folder}/a.md:6: kee: unknown field; did you mean 'key'?",
        f"{here.folder}/a.md:3: date: 'soon' is not a date like 2026-01-31",
        f"{here.folder}/c.md: language: {here.folder}/b.md says 'recap' in 'en', too; change one of them",
    ]
    assert here.json("announcement", "list") == []
    own = here.write("e.md", RECAP_FR.replace("language: fr\n", ""))
    assert "e.md: language: " in here.error("announcement", "add", files[1], own)
    here.run("announcement", "add", files[1])
    assert "language: 'recap' itself is in 'en'" in here.error("announcement", "add", own)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_draft_says_what_its_announcements_lack(here: Installation) -> None:
    here.run("announcement", "add", here.write("en.md", RECAP))
    said = here.run("digest", "compose").stdout
    assert "lacks: no translation: fr, es, ru, ar, zh" in said
    assert said.splitlines()[-1] == "1"
