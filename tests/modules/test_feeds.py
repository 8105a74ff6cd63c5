"""RSS and Atom of every age: the entries and what they say; what is no feed, or wants to be a bomb, is refused."""

import datetime as dt
import re
from contextlib import suppress
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.digests.feeds import is_feed, read
from mailer.digests.pages import Found
from mailer.errors import BadInput
from mailer.letters.markdown import to_html

ZURICH = ZoneInfo("Europe/Zurich")
RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/">
<channel><title>News</title><link>https://example.org/</link><language>fr-CH</language>
<item><title>Newer &amp;amp; &lt;b&gt;better&lt;/b&gt;</title><link>https://example.org/2</link>
<guid isPermaLink="false">urn:2</guid>
<pubDate>Fri, 22 Sep 2023 23:30:00 GMT</pubDate><description>A short word on it.</description>
<content:encoded><![CDATA[<p>The <a href="/x">whole</a> text.<script>alert(1)</script></p><ul><li>one</li></ul>
<img src="https://example.org/i.jpg" alt="A room"><p onclick="alert(1)">And <a href="javascript:alert(1)">more</a>.</p>
]]></content:encoded></item>
<item><title>Older</title><author>jane@example.org (Jane Doe)</author>
<link>https://example.org/1</link><pubDate>Thu, 21 Sep 2023 10:00:00 GMT</pubDate>
<description>Plain words only.</description><enclosure url="https://example.org/a.mp3" type="audio/mpeg" length="1"/>
<media:content url="https://example.org/m.jpg" type="image/jpeg"/></item></channel></rss>"""
ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="ar"><title>أخبار</title><id>urn:feed</id>
<updated>2023-09-22T10:00:00Z</updated>
<entry><title type="html">&lt;i&gt;عنوان&lt;/i&gt; الخبر</title><id>tag:example.org,2023:1</id><link href="https://example.org/ar/1"/>
<published>2023-09-21T08:00:00Z</published><updated>2024-01-01T00:00:00Z</updated><summary>ملخص الخبر</summary>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>نص <b>الخبر</b>.</p></div></content></entry>
<entry><title>5 &lt; 6 *stars*</title><id>tag:example.org,2023:2</id><updated>2023-09-22T08:00:00Z</updated>
<content type="text">One paragraph.

Another * one.</content></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="https://example.org/"><title>t</title></channel>
<item rdf:about="https://example.org/1"><title>Ancient</title><link>https://example.org/1</link><dc:date>2023-09-22</dc:date>
<description>Words.</description></item></rdf:RDF>"""


def entries(source: str | bytes) -> list[Found]:
    return read(source if isinstance(source, bytes) else source.encode(), ZURICH)


def test_an_rss_feed_oldest_first() -> None:
    older, newer = entries(RSS)
    assert older == Found(
        source="https://example.org/1",
        title="Older",
        date=dt.date(2023, 9, 21),
        url="https://example.org/1",
        language="fr",
        author="Jane Doe",
        summary=None,
        body="Plain words only.",
        image="https://example.org/m.jpg",
        image_alt=None,
    )
    assert newer == Found(
        source="urn:2",
        title="Newer & better",
        date=dt.date(2023, 9, 23),
        url="https://example.org/2",
        language="fr",
        author=None,
        summary="A short word on it.",
        body="The [whole](https://example.org/x) text.\n\n- one\n\nAnd more.",
        image="https://example.org/i.jpg",
        image_alt="A room",
    )


def test_an_atom_feed() -> None:
    second, first = entries(ATOM)
    assert (first.title, first.date, first.language) == ("عنوان الخبر", dt.date(2023, 9, 21), "ar")
    assert (first.body, first.summary, first.source) == ("نص **الخبر**.", "ملخص الخبر", "tag:example.org,2023:1")
    assert (second.title, second.date, second.url) == ("5 < 6 *stars*", dt.date(2023, 9, 22), None)
    assert second.body == "One paragraph.\n\nAnother \\* one."


@pytest.mark.parametrize(
    ("said", "author"),
    [
        ("<author><name>أمينة ديالو</name></author>", "أمينة ديالو"),
        ("<author><name>A</name><email>a@e.org</email></author><author><name>B</name></author>", "A, B"),
        ("<author><email>a@e.org</email></author>", None),
        ("<author><name>a@e.org</name></author>", None),
        ("<author><name> </name></author>", None),
    ],
)
def test_an_entrys_authors_are_named_without_their_addresses(said: str, author: str | None) -> None:
    entry = "<id>tag:example.org,2023:2"
    assert entries(ATOM.replace(entry, said + entry))[0].author == author


def test_rss_of_the_first_age_and_another_encoding() -> None:
    (found,) = entries(RDF)
    assert (found.title, found.date, found.body) == ("Ancient", dt.date(2023, 9, 22), "Words.")
    (found,) = entries(
        f'<?xml version="1.0" encoding="windows-1251"?>{RDF}'.replace("Words.", "Слова.").encode("cp1251")
    )
    assert found.body == "Слова."


@pytest.mark.parametrize("gone", ["title", "pubDate", "link", "description"])
def test_what_an_entry_does_not_say_is_none(gone: str) -> None:
    found = entries(re.sub(rf"<{gone}>[^<]*</{gone}>", "", RSS))[0]
    assert (found.title is None, found.date is None, found.url is None, found.body == "") == tuple(
        gone == name for name in ("title", "pubDate", "link", "description")
    )


IMPOSSIBLE = (
    *("0000-00-00T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z"),
    *("0000", "1970-01-01T00:00:00Z"),
)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("moment", IMPOSSIBLE)
def test_a_date_that_can_not_be_is_none(moment: str, zone: str) -> None:
    dates = re.sub(r"<pubDate>Fri[^<]*", f"<pubDate>{moment}", RSS)
    assert [each.date for each in read(dates.encode(), ZoneInfo(zone))] == [dt.date(2023, 9, 21), None]
    updated = re.sub(r"<published>[^<]*", f"<published>{moment}", ATOM.replace("2024-01-01T00", "2024-01-01T12"))
    assert read(updated.encode(), ZoneInfo(zone))[1].date == dt.date(2024, 1, 1), "when it was changed will do"


def test_a_feed_that_is_torn_gives_what_can_be_read() -> None:
    assert [each.title for each in entries(RSS[: RSS.rindex("</item>")])][-1] == "Newer & better"


@pytest.mark.parametrize("source", [RSS, ATOM, RDF, "\ufeff" + ATOM, "<!-- <html> -->" + RSS])
def test_a_feed_is_known_by_its_beginning(source: str) -> None:
    assert is_feed(source.encode())
    assert is_feed(source.encode("utf-16"))


@pytest.mark.parametrize("source", ["", "<html><body><feed></feed></body></html>", "<!DOCTYPE html><p>rss", "{}", "\0"])
def test_what_is_no_feed(source: str) -> None:
    assert not is_feed(source.encode())


def test_no_text_or_address_of_an_entry_marks_a_slot() -> None:
    marked = (
        RSS.replace("/1<", "/&#xe000;to&#xe001;<")
        .replace("Older", "O&#xe000;to&#xe001;lder")
        .replace("words", "w&#xe000;")
    )
    found = entries(marked)[0]
    assert found.url is None
    assert "\ue000" not in f"{found.title}{found.body}{found.summary}"


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
FEED = "<rss version='2.0'><channel><item><title>{}</title></item></channel></rss>"
BOMB = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a0 "ha">{LAUGHS}]>{FEED.format("&a11;")}'
OUTSIDE = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>{FEED.format("&x;")}'


@pytest.mark.parametrize("source", [BOMB, OUTSIDE, OUTSIDE.replace("ENTITY x", "entity x")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_of_its_own_are_refused(source: str, encoding: str) -> None:
    """D-166: neither a bomb nor a file of this machine."""
    with pytest.raises(BadInput, match="entities of its own"):
        entries(source.encode(encoding))


def test_a_document_type_from_elsewhere_is_not_asked_for() -> None:
    (found,) = entries('<!DOCTYPE rss SYSTEM "http://127.0.0.1:9/x.dtd">' + FEED.format("T"))
    assert found.title == "T"


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([*RSS.split(">"), *ATOM.split(">"), "&#1;", "\0", "&bad;", "<!--", "]]>"])).map(">".join)
)
def test_whatever_it_is_a_feed_or_a_bad_one(source: str) -> None:
    with suppress(BadInput):
        for found in entries(source):
            assert "<script" not in to_html(found.body)
