"""Announcement files: what a good one says, and the line and the words for each way to get one wrong."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.digests.files import AnnouncementFile, parse, read, written
from mailer.errors import BadAnnouncement
from mailer.states import AnnouncementType

LANGUAGES = ("en", "fr", "ar")
WHOLE = """---
title: "What 160 countries: discussed"
date: 2023-09-22
url: https://example.org/recap?a=1
topics: [policy, generative-ai, policy]
author: Amina  Diallo
language: fr
translation-of: recap
summary: |
  Two
  lines
image: https://example.org/room.jpg
image-alt: A full room
type: event
deadline: 2023-10-01
---

The **Conversation** closed.

"""
SMALL = "title: T\ndate: 2023-09-22"


def source(head: str = SMALL, body: str = "Text.\n") -> str:
    return f"---\n{head}\n---\n{body}"


def announcement(head: str = SMALL, body: str = "Text.\n") -> AnnouncementFile:
    return parse(source(head, body), "news.md", LANGUAGES)


def outcome(text: str) -> AnnouncementFile | str:
    """The announcement, or what is said of one that is refused."""
    try:
        return parse(text, "news.md", LANGUAGES)
    except BadAnnouncement as error:
        return str(error)


def test_every_field_is_read() -> None:
    assert asdict(parse(WHOLE, "news.md", LANGUAGES)) == {
        "key": "recap",
        "is_translation": True,
        "language": "fr",
        "title": "What 160 countries: discussed",
        "date": dt.date(2023, 9, 22),
        "type": AnnouncementType.EVENT,
        "deadline": dt.date(2023, 10, 1),
        "topics": ("policy", "generative-ai"),
        "author": "Amina Diallo",
        "summary": "Two lines",
        "body": "The **Conversation** closed.",
        "url": "https://example.org/recap?a=1",
        "image": "https://example.org/room.jpg",
        "image_alt": "A full room",
        "name": "news.md",
    }


def test_a_title_and_a_date_are_enough() -> None:
    assert asdict(announcement(body="The [first](https://example.org)\nparagraph.\n\nThe second.")) == {
        **dict.fromkeys(("deadline", "author", "url", "image", "image_alt")),
        "key": "2023-09-22-t",
        "is_translation": False,
        "language": "en",
        "title": "T",
        "date": dt.date(2023, 9, 22),
        "type": AnnouncementType.NEWS,
        "topics": (),
        "summary": "The first paragraph.",
        "body": "The [first](https://example.org)\nparagraph.\n\nThe second.",
        "name": "news.md",
    }


@pytest.mark.parametrize(
    ("head", "field", "value"),
    [
        ("title: L’été à Genève", "key", "2023-09-22-lete-a-geneve"),
        ("title: 'A: b -- C!'", "key", "2023-09-22-a-b-c"),
        ("title: 日本", "key", "2023-09-22-65e5-672c"),
        ("title: 🎉", "key", "2023-09-22-item"),
        ("title: T\nkey: the-key", "key", "the-key"),
        ("title: T\nkey: 2023", "key", "2023"),
        ("title: T\ntopics: policy, ai", "topics", ("policy", "ai")),
        ("title: T\ntopics: []", "topics", ()),
        ("title: T\ntopics:", "topics", ()),
        ("title: T\nurl:", "url", None),
        ("title: T\nsummary: ''", "summary", "Text."),
        ("title: مرحبا", "title", "مرحبا"),
        ("title: >\n  a\n\n  b", "title", "a b"),
        ('title: "a\n\n  b"', "title", "a b"),
        ('title: "a\\r\\nBcc: b"', "title", "a Bcc: b"),
        ("title: 2001-09-11", "title", "2001-09-11"),
        ("title: 12:30", "title", "12:30"),
        ("title: 007", "title", "007"),
        ("title: 1_000", "title", "1_000"),
        ("title: T\ndate: '2024-02-29'", "date", dt.date(2024, 2, 29)),
        ("title: T\n'type': call", "type", AnnouncementType.CALL),
    ],
)
def test_what_a_field_may_look_like(head: str, field: str, value: object) -> None:
    head = head if "date:" in head else f"{head}\ndate: 2023-09-22"
    assert getattr(announcement(head), field) == value


def test_a_key_made_of_a_long_title_is_cut_at_a_hundred_characters() -> None:
    key = announcement(f"title: {'é-' * 150}\ndate: 2023-09-22").key
    assert len(key) <= 100
    assert not key.endswith("-")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("---\n", "--- \t\n"),
    ],
)
def test_line_ends_byte_order_marks_and_blanks_after_the_fence_do_not_matter(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    path = tmp_path / "news.md"
    path.write_bytes(change(WHOLE).encode())
    assert read(path, LANGUAGES) == parse(WHOLE, str(path), LANGUAGES)


BAD = [  # the file, the line to look at, a word of what is said
    ("", 1, "no front matter"),
    ("title: T\ndate: 2023-09-22\n", 1, "no front matter"),
    ("\n" + WHOLE, 1, "no front matter"),
    ("---\ntitle: T\ndate: 2023-09-22\n", 1, "has no end"),
    (source("- title\n- date"), 2, "name: value"),
    (source("date: 2023-09-22"), 1, "title: is missing"),
    (source("title:\ndate: 2023-09-22"), 2, "title: is missing"),
    (source("title: ' '\ndate: 2023-09-22"), 2, "title: is missing"),
    (source("title: T"), 1, "date: is missing"),
    (source("title: T\ndate: 2023-13-45"), 3, "2023-13-45"),
    (source("title: T\ndate: yesterday"), 3, "'yesterday' is not a date"),
    (source("title: T\ndate: 22/09/2023"), 3, "not a date"),
    (source("title: T\ndate: 2023-09-22T10:00:00"), 3, "not a date"),
    (source(f"{SMALL}\ndeadline: 2023-13-45"), 4, "deadline"),
    (source(f"{SMALL}\ndeadline: soon"), 4, "'soon' is not a date"),
    (source(f"{SMALL}\ntopic: policy"), 4, "did you mean 'topics'?"),
    (source(f"{SMALL}\nzzz: 1"), 4, "known are title"),
    (source(f"{SMALL}\n7: x"), 4, "unknown field"),
    (source(f"{SMALL}\nlanguage: de"), 4, "'de' is not one of this list's: en, fr, ar"),
    (source(f"{SMALL}\ntype: rumour"), 4, "news, call"),
    (source(f"{SMALL}\ntopics: [Big Data]"), 4, "'Big Data'"),
    (source(f"{SMALL}\ntopics: a,,b"), 4, "topics"),
    (source(f"{SMALL}\nurl: example.org"), 4, "https://"),
    (source(f"{SMALL}\nurl: javascript:alert(1)"), 4, "https://"),
    (source(f"{SMALL}\nurl: https://[::1"), 4, "https://"),
    (source(f"{SMALL}\nurl: https://example.org/a b"), 4, "https://"),
    (source(f"{SMALL}\nimage: data:image/png;base64,AA\nimage-alt: x"), 4, "https://"),
    (source(f"{SMALL}\nimage: https://example.org/a.png"), 4, "image-alt"),
    (source(f"{SMALL}\nimage: http://example.org/a.png\nimage-alt: x"), 4, "no other picture"),
    (source(f"{SMALL}\ntranslation-of: a\nkey: b"), 5, "leave the key out"),
    (source(f"{SMALL}\nkey: Big Key"), 4, "key"),
    (source(f"{SMALL}\ntranslation-of: Big Key"), 4, "translation-of"),
    (source(f"{SMALL}\nsummary: [a, b]"), 4, "quotes"),
    (source(f"title: {'x' * 301}\ndate: 2023-09-22"), 2, "longer than 300"),
    (source(f"{SMALL}\nsummary: {'x' * 2001}"), 4, "longer than 2000"),
    (source(f"{SMALL}\nkey: {'x' * 101}"), 4, "longer than 100"),
    (source(f"title: T\nkey: {'1' * 5000}\ndate: 2023-09-22"), 3, "longer than 100"),
    (source("title: a: b\ndate: 2023-09-22"), 2, "quote"),
    (source("title: T\n\tdate: 2023-09-22"), 3, "\\t"),
    (source("title: T\ndate: [2023"), 4, "expected"),
    (source("title: &a [*b]\ndate: 2023-09-22"), 2, "undefined alias"),
    (source("title: a\uffffb\ndate: 2023-09-22"), 2, "character"),
    (source("title: a\x07b\ndate: 2023-09-22"), 2, "U+0007"),
    (source(f"{SMALL}\nsummary: \ue000to\ue001"), 4, "U+E000"),
    (source(body="one\n\ntwo\x1b[31m\n"), 7, "U+001B"),
    (source(body="one\n\n[two](/news)\n"), 7, "'/news'"),
    (source(body="one\n\n[two](ftp://example.org)\n"), 7, "https://"),
    (source(body="one\n\n[two](javascript:alert(1))\n"), 7, "https://"),
    (source(body="one\n\n![two](http://example.org/a.png)\n"), 7, "shows no other"),
    (source(body="\n\none ![two](data:image/png;base64,AAAA)\n"), 7, "https://"),
]


@pytest.mark.parametrize(("text", "line", "word"), BAD)
def test_what_is_wrong_is_said_in_one_line_with_its_place(text: str, line: int, word: str) -> None:
    said = outcome(text)
    assert isinstance(said, str)
    assert said.startswith(f"news.md:{line}: ")
    assert word in said.removeprefix(f"news.md:{line}: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("content", [b"---\ntitle: \xe9\n---\n", "Über".encode("utf-16"), b"\xff"])
def test_a_file_that_is_not_utf_8_says_at_which_byte(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "news.md"
    path.write_bytes(content)
    with pytest.raises(BadAnnouncement, match=r"news\.md: byte \d+ .*UTF-8"):
        read(path, LANGUAGES)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.md", tmp_path):
        with pytest.raises(BadAnnouncement, match=path.name):
            read(path, LANGUAGES)


def harm(text: str) -> set[str]:
    """Characters that no letter can hold, whichever way they came in."""
    return {each for each in text if each in "\ue000\ue001\x7f\x85\u2028" or each < " " or "\ud800" <= each <= "\udfff"}


ESCAPED = {
    "title": 'title: "a{}b"\ndate: 2023-09-22',
    "summary": f'summary: "a{{}}b"\n{SMALL}',
    "image_alt": f'image-alt: "a{{}}b"\nimage: https://example.org/a.png\n{SMALL}',
}


ESCAPES = ("\\0", "\\a", "\\e", "\\x7F", "\\uE000to\\uE001", "\\uD800", "\\N", "\\L", "\\r\\n")


@pytest.mark.parametrize("field", ESCAPED)
def test_an_escape_can_not_bring_in_what_is_forbidden(field: str) -> None:
    """YAML's escapes are read after the file was looked through for control characters."""
    for escape in ESCAPES:
        found = outcome(source(ESCAPED[field].format(escape)))
        assert found.startswith("news.md:2: ") if isinstance(found, str) else not harm(getattr(found, field))


def test_an_entity_in_the_text_can_not_bring_a_slot_into_the_summary() -> None:
    found = outcome(source(body="&#xe000;to&#xe001; and more"))
    assert found.startswith("news.md:5: ") if isinstance(found, str) else not harm(found.summary)


YAML = [
    *"ab1 :-,#'\"|>&*!%@`?[]{}~=<\n\t",
    ": ",
    "- ",
    "\n  ",
    "null",
    "yes",
    "2023-09-22",
    "2023-13-45",
    "1e9",
    "0x",
    "<<: ",
]
TAGS = [f"!!{tag} " for tag in ("int", "float", "bool", "null", "timestamp", "binary", "set", "omap", "str", "map")]
FIELDS = [f"\n{field}: " for field in ("title", "date", "topics", "url", "image", "key", "type", "translation-of", "x")]
HEADS = st.lists(st.sampled_from(YAML + TAGS + FIELDS), max_size=25).map("".join)
ANYTHING = st.one_of(st.text(), st.builds(source, HEADS, st.text()), st.builds(source, st.just(SMALL), st.text()))


@pytest.mark.parametrize(
    "value",
    ["!!bool x", "!!timestamp x", "!!int ''", "!!float ''", "!!int -", "!!binary é", "[" * 3000, "{" * 3000, "&a [*a]"],
)
def test_no_value_is_worse_than_a_bad_announcement(value: str) -> None:
    found = outcome(source(f"title: {value}\ndate: 2023-09-22"))
    assert isinstance(found, AnnouncementFile) or found.startswith("news.md:")


@given(ANYTHING)
def test_any_text_is_an_announcement_or_a_bad_one(text: str) -> None:
    found = outcome(text)
    if isinstance(found, str):
        assert all(line.startswith("news.md:") for line in found.splitlines())
    else:
        assert found.title
        assert found.summary
        assert not harm(found.title)
        assert parse(written(found), "news.md", LANGUAGES) == found


def test_all_that_is_wrong_with_a_file_is_told_at_once() -> None:
    head = "title:\ndate: soon\ntopic: x\nlanguage: de\ntype: rumour\nurl: here\nimage: https://e.org/a.png"
    told = outcome(source(head, "[two](/news)\n\n![three](http://e.org/x.png)"))
    assert isinstance(told, str)
    assert [line.split(":")[1] for line in told.splitlines()] == ["4", "2", "3", "8", "5", "6", "7", "10", "12"]


def test_a_file_that_no_letter_could_hold_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "news.md"
    path.write_text(source(body="word " * 1_000_000))
    with pytest.raises(BadAnnouncement, match="larger than 500 kB"):
        read(path, LANGUAGES)


WRITTEN = """---
title: "#1: \\"Draft\\" guide"
date: 2023-09-22
translation-of: guide
language: fr
type: call
deadline: 2023-11-30
topics: [policy, ai]
author: Amina Diallo
url: https://example.org/#a
image: https://example.org/a.png
image-alt: 'yes'
summary: What it is about.
---

Text.
"""


def test_an_announcement_is_written_as_a_person_would() -> None:
    found = parse(WRITTEN, "news.md", LANGUAGES)
    assert written(found) == WRITTEN.replace('"#1: \\"Draft\\" guide"', "'#1: \"Draft\" guide'").replace("'yes'", "yes")
    assert written(announcement()) == "---\ntitle: T\ndate: 2023-09-22\nkey: 2023-09-22-t\nlanguage: en\n---\n\nText.\n"


VALUES = st.text(min_size=1, max_size=80).filter(lambda text: not harm(text) and text.strip())


@given(VALUES, VALUES, st.text().filter(lambda text: not harm(text)), st.sampled_from(AnnouncementType), st.booleans())
def test_what_is_written_says_the_same(title: str, alt: str, body: str, kind: AnnouncementType, first: bool) -> None:
    """A file that `show` prints, `add` takes for the same."""
    name = "key" if first else "translation-of"
    head = f"title: {json.dumps(title)}\ndate: 2023-09-22\n{name}: k\ntype: {kind}\nimage: https://e.org/a\n"
    found = outcome(
        source(f"{head}image-alt: {json.dumps(alt)}\nsummary: {json.dumps(title)}\nauthor: {json.dumps(alt)}", body)
    )
    if isinstance(found, AnnouncementFile):
        assert parse(written(found), "news.md", LANGUAGES) == found
