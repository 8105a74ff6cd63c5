"""Feeds hold any text without breaking, and are what RFC 4287 asks for (D-188)."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.web.atom import Entry, Feed, Link, moment, tag, text, write

from ..feeds import parsed

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = Link("alternate", "https://lists.example.org/archive/a?lang=ar", "text/html", "ar")
ANY = st.text(st.characters(codec=None))  # lone surrogates and controls, too


def feed_of(words: str) -> Feed:
    entry = Entry("tag:example.org,2026-03-01:a", words, "ar", AT, AT, PAGE, words, words)
    identity = "tag:example.org,2026-03-01:list"
    return Feed(identity, words, words, "en", "Owner", AT, "https://example.org/i.svg", [PAGE], [entry])


@given(ANY)
def test_any_text_comes_out_as_it_went_in_but_for_what_no_xml_can_hold(words: str) -> None:
    root = ElementTree.fromstring(write(feed_of(words)))
    kept = text(words).replace("\r\n", "\n").replace("\r", "\n")  # as any XML parser reads them
    for name in ("title", "entry/title", "entry/summary", "entry/content"):
        found = root.find("/".join(f"{{http://www.w3.org/2005/Atom}}{each}" for each in name.split("/")))
        assert found is not None
        assert (found.text or "") == kept, name


@given(ANY)
def test_only_what_xml_forbids_is_left_out(words: str) -> None:
    left_out = set(words) - set(text(words))
    assert all(ord(each) < 0x20 or 0xD800 <= ord(each) < 0xE000 or ord(each) in (0xFFFE, 0xFFFF) for each in left_out)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "a\x00b\x0b\x1f\x7f",
        "\ufffe\uffff",
        "]]>",
        "<!-- -->",
        "&lt;&#0;",
        "<script>alert(1)</script>",
        "\U0001f600",
    ],
)
def test_feed_readers_find_no_fault(words: str) -> None:
    parsed(write(feed_of(words)))


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (AT, "2026-03-01T12:00:00Z"),
        (AT.replace(microsecond=999_999), "2026-03-01T12:00:00Z"),
        (AT.astimezone(timezone(timedelta(hours=14))), "2026-03-01T12:00:00Z"),
    ],
)
def test_a_moment_is_written_in_utc_to_the_second(at: datetime, written: str) -> None:
    assert moment(at) == written


def test_a_name_for_ever_is_one_by_rfc_4151() -> None:
    name = tag("lists.example.org", date(2026, 3, 1), "list/2026-03-01-a/fr")
    assert re.fullmatch(r"tag:[a-z0-9.-]+,\d{4}(-\d\d){0,2}:[\w.~!$&'()*+,;=:@/?%-]*", name)
