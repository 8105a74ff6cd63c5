"""What went out, as anybody may read it (D-187, D-188, D-195)."""

import re
import time
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
import time_machine
from playwright.sync_api import Browser
from sqlalchemy import select
from werkzeug.test import TestResponse

from mailer.config import Config
from mailer.db import db
from mailer.digests import sending
from mailer.languages import day_in
from mailer.models import Subscriber

from ..archives import FIRST, FORTNIGHT, change, fill
from ..feeds import feed, link
from ..installation import BASE_URL, RECAP, RECAP_FR, Installation, LiveSite, leave_link, link_in
from ..tour import path, rendered
from ..visitor import Visitor

CALL = """---
title: "Call <for> “comments” & more"
date: 2023-10-02
type: call
key: call
image: https://example.org/a.png
image-alt: A "pen"
---
Write to the *secretariat*.
"""
SECOND = FIRST + FORTNIGHT
# How somebody asks who has it already.
AGAIN = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


def get(here: Installation, address: str, code: str = "en", **headers: str) -> TestResponse:
    return here.site.get(address, query_string={"lang": code}, headers=headers)


def sent(here: Installation, *files: str, title: str = "", at: str = "2026-03-01T12:00:00Z") -> str:
    """A digest that ada got; its page in the archive."""
    paths = [here.write(f"{number}.md", text) for number, text in enumerate(files or (RECAP, RECAP_FR))]
    with time_machine.travel(at):
        digest = here.json("digest", "compose", *paths, *(["--title", title] if title else []))["digest"]
        here.run("digest", "send", digest, "--yes")
    return path(link_in(here.letters("ada@example.org")[-1], "archive"))


@pytest.fixture
def ada(here: Installation) -> Installation:
    here.subscribed("ada@example.org")
    return here


def paths_in(page: str, pattern: str = r"/archive/\d[^\"?#]+") -> list[str]:
    return list(dict.fromkeys(re.findall(rf'<a [^>]*href="({pattern})[?#"]', page)))


def test_an_empty_archive_is_friendly_and_so_is_its_feed(here: Installation) -> None:
    page = get(here, "/archive").text
    assert "No digest has been sent yet." in page
    assert 'href="/?lang=en">Subscribe</a>' in page
    found = feed(here)
    assert (found.feed.title, found.entries) == ("Frontier Technologies", [])
    assert get(here, "/sitemap.xml").status_code == 200


def test_the_list_has_every_digest_by_year_with_what_was_in_it(ada: Installation) -> None:
    first = sent(ada, at="2025-12-31T23:30:00Z")
    second = sent(ada, RECAP, RECAP_FR, CALL, title="Everything", at="2026-02-01T12:00:00Z")
    page = get(ada, "/archive", "fr").text
    assert paths_in(page) == [second, first]
    assert re.findall(r'<h2 class="year" id="[^"]+">(\d+)</h2>', page) == ["2026", "2025"]
    assert re.findall(r'<time datetime="([^"]+)">([^<]+)<', page) == [
        ("2026-02-01", "1 février 2026"),
        ("2025-12-31", "31 décembre 2025"),
    ]
    assert re.findall(r'<bdi lang="(\w\w)">([^<]+)</bdi>', page) == [
        ("fr", "Ce dont 160 pays ont discuté"),
        ("en", "Call &lt;for&gt; “comments” &amp; more"),
    ]
    assert re.findall(r'class="badge">([^<]+)<', page) == ["Actualité", "Appel", "Actualité"]


def test_a_year_begins_in_the_lists_time_zone(ada: Installation) -> None:
    ada.configure(TIMEZONE="Asia/Tokyo")
    sent(ada, at="2025-12-31T23:30:00Z")
    assert 'id="year-2026">2026</h2>' in get(ada, "/archive").text


@pytest.fixture
def sent_later(here: Installation) -> Iterator[time_machine.Traveller]:
    """A digest that goes out three days after its approval, and to one of two only for now."""
    here.configure(TIMEZONE="Asia/Tokyo")
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.imported(2)
        here.mail_server.answer("RCPT", "person1@", "451 4.7.1 try later")
        digest = here.draft(CALL)
        here.run("digest", "send", digest, "--at", "2026-03-04T01:00", "--yes")
        assert "Frontier Technologies, 4 March 2026\n" in here.run("digest", "preview", digest).stdout
        clock.move_to("2026-03-03T16:00:01Z")
        here.run("run-due")
        here.mail_server.rules.clear()
        yield clock


def test_letter_and_archive_name_the_day_on_which_it_goes_out(
    here: Installation, sent_later: time_machine.Traveller
) -> None:
    """Of the day of its approval readers know nothing."""
    (mail,) = here.mail_server.mails
    assert "Frontier Technologies, 4 March 2026\r\n" in mail.part("plain")
    assert "4 March 2026" in mail.part("html")
    page = get(here, "/archive").text
    assert '<time datetime="2026-03-04">4 March 2026</time>' in page
    assert "<h1>Frontier Technologies, 4 March 2026</h1>" in get(here, paths_in(page)[0]).text


def test_a_letter_that_is_corrected_and_comes_later_names_the_same_day(
    here: Installation, sent_later: time_machine.Traveller
) -> None:
    here.run("digest", "pause", 1)
    sent_later.move_to("2026-03-05T16:00:01Z")
    here.run("announcement", "add", here.write("edited.md", CALL.replace("Write to", "Please write to")))
    here.run("digest", "correct", 1)
    here.run("digest", "resume", 1)
    here.run("run-due")
    text = here.mail_server.mails[-1].part("plain")
    assert ("Please write to" in text, "Frontier Technologies, 4 March 2026\r\n" in text) == (True, True)


def test_letters_that_were_made_before_midnight_are_made_anew(ada: Installation) -> None:
    with time_machine.travel("2026-03-01T23:59:58Z") as clock:
        digest = ada.draft(CALL)
        with ada.app.app_context():
            sending.prepare(digest, sending.approve(digest))
        clock.move_to("2026-03-02T00:00:02Z")
        ada.run("digest", "send", digest, "--yes")
    (mail,) = ada.mail_server.mails
    assert "Frontier Technologies, 2 March 2026\r\n" in mail.part("plain")
    assert '<time datetime="2026-03-02">' in get(ada, "/archive").text


def test_a_digest_is_an_article_with_a_way_to_each_announcement(ada: Installation) -> None:
    texts = [CALL.replace("key: call", f"key: call-{number}") for number in range(3)]
    page = get(ada, sent(ada, RECAP, RECAP_FR, *texts), "fr").text
    anchors = re.findall(r'<a href="#(item-[a-z0-9-]+)">', page)
    assert anchors == ["item-recap", "item-call-0", "item-call-1", "item-call-2"]
    assert [page.count(f' id="{anchor}"') for anchor in anchors] == [1, 1, 1, 1]
    assert re.findall(r'<article lang="(\w\w)" dir="ltr">', page) == ["fr", "en", "en", "en"]
    assert page.count("en anglais") == 3
    assert paths_in(get(ada, "/archive").text) == paths_in(get(ada, "/archive", "fr").text)


def test_programs_are_told_what_a_page_is(ada: Installation) -> None:
    """Canonical, Open Graph, the feeds; `hreflang` is in test_languages.py."""
    address = sent(ada, CALL)
    head = get(ada, address, "ar").text.partition("</head>")[0]
    assert f'<link rel="canonical" href="{BASE_URL}{address}?lang=ar">' in head
    told = dict(re.findall(r'<meta (?:property|name)="([\w:]+)" content="([^"]*)">', head))
    assert told["og:title"] == "Call &lt;for&gt; “comments” &amp; more"
    assert told["og:description"] == told["description"] == "Write to the secretariat."
    assert (told["og:url"], told["og:type"]) == (f"{BASE_URL}{address}?lang=ar", "article")
    assert (told["og:image"], told["og:image:alt"]) == ("https://example.org/a.png", "A &#34;pen&#34;")
    assert told["article:published_time"].startswith("2026-03-01T12:00:")
    for page in (head, get(ada, "/archive", "ar").text):
        feeds = re.findall(
            r'rel="alternate" type="application/atom\+xml" hreflang="(\w\w)" title="[^"]+" href="([^"]+)', page
        )
        assert feeds[0] == ("ar", f"{BASE_URL}/archive/feed.atom?lang=ar")
        assert {code for code, _ in feeds} == set(Config.languages)


def test_the_form_tells_of_the_feed_in_its_language(here: Installation) -> None:
    """Which tells of the others."""
    head = get(here, "/", "ar").text.partition("</head>")[0]
    assert re.findall(r'type="application/atom\+xml" hreflang="(\w\w)" title="[^"]+" href="([^"]+)"', head) == [
        ("ar", f"{BASE_URL}/archive/feed.atom?lang=ar")
    ]


def test_one_goes_from_digest_to_digest(ada: Installation) -> None:
    slugs = fill(ada, 3)
    middle = get(ada, f"/archive/{slugs[1]}").text
    assert dict(re.findall(r'rel="(prev|next)" href="/archive/([^"?]+)\?lang=en"', middle)) == {
        "prev": slugs[2],
        "next": slugs[0],
    }
    assert 'rel="next"' not in get(ada, f"/archive/{slugs[0]}").text
    assert 'rel="prev"' not in get(ada, f"/archive/{slugs[2]}").text


def test_a_digest_that_is_left_with_what_some_had_missed_is_about_that(here: Installation) -> None:
    (slug,) = fill(here, 1, announcements=2, catching_up=True)
    assert get(here, "/archive").text.count(f'href="/archive/{slug}') == 2
    assert get(here, f"/archive/{slug}").text.count("<article ") == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("code", ["en", "ar"])
def test_with_a_keyboard_one_finds_a_digest_an_announcement_and_the_form(
    here: Installation, browser: Browser, code: str
) -> None:
    fill(here, 2, announcements=4)
    with LiveSite(here.app) as site:
        visitor = Visitor(browser, site.url, code, scripts=False, keyboard=True)
        visitor.open("/archive")
        visitor.sees("Past digests")
        digests = visitor.page.get_by_role("heading", level=3).get_by_role("link")
        visitor.use(digests.first)
        visitor.sees("%(list)s, %(date)s", list="Frontier Technologies", date=day_in(SECOND, code))
        visitor.use(visitor.page.get_by_role("navigation").get_by_role("listitem").nth(2).get_by_role("link"))
        assert visitor.page.url.endswith("#item-note-1-2")
        visitor.use(visitor.page.locator("a[rel=prev]"))
        visitor.sees("%(list)s, %(date)s", list="Frontier Technologies", date=day_in(FIRST, code))
        visitor.follow("Subscribe")
        visitor.sees("%(list)s, by e-mail", list="Frontier Technologies")
        visitor.close()


# What is public.


def shown_in(here: Installation, address: str) -> list[str]:
    """Where a digest can be found, and whether search engines may keep its page."""
    page = get(here, address)
    lists = {
        "list": address in paths_in(get(here, "/archive").text),
        "feed": any(address in entry.link for entry in feed(here).entries),
        "sitemap": address in get(here, "/sitemap.xml").text,
        "page": page.status_code == 200,
        "index": page.status_code == 200 and "noindex" not in f"{page.headers}{page.text}",
    }
    return [name for name, found in lists.items() if found]


EDGES = """() => [...document.querySelectorAll('article > p[dir=rtl]')].map(
  each => each.parentElement.getBoundingClientRect().right - each.getBoundingClientRect().right)"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_our_words_about_an_article_that_runs_the_other_way_stand_at_their_own_edge(
    ada: Installation, browser: Browser
) -> None:
    address = sent(ada, CALL, RECAP)
    page = browser.new_page(viewport={"width": 1280, "height": 640})
    with LiveSite(ada.app) as site:
        page.goto(f"{site.url}{address}?lang=ar")
        assert page.evaluate(EDGES) == [0, 0, 0]
    page.close()


def test_what_did_not_begin_to_go_out_is_nowhere(here: Installation) -> None:
    here.imported(1)
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        digest = here.draft()
        address = path(re.findall(rf"{BASE_URL}(/archive/\S+)", here.run("digest", "preview", digest).stdout)[0])
        assert shown_in(here, address) == []
        here.run("digest", "send", digest, "--yes", "--at", "2026-03-02T10:00")
        assert shown_in(here, address) == []
        clock.move_to("2026-03-02T10:00:30Z")
        here.run("run-due")
    assert shown_in(here, address) == ["list", "feed", "sitemap", "page", "index"]
    assert feed(here).entries[0].published.startswith("2026-03-02")  # not when it was approved


def test_a_digest_that_is_kept_out_is_read_by_who_has_its_letter(ada: Installation) -> None:
    """Its letters say "read this digest on the web" and can't be taken back; see docs/archive.md."""
    kept, out = sent(ada), sent(ada, CALL)
    ada.run("digest", "archive", 2, "--off")
    assert shown_in(ada, kept) == ["list", "feed", "sitemap", "page", "index"]
    assert shown_in(ada, out) == ["page"]
    assert get(ada, out).headers["X-Robots-Tag"] == "noindex"
    assert out not in get(ada, kept).text
    ada.run("digest", "archive", 2, "--on")
    assert shown_in(ada, out) == ["list", "feed", "sitemap", "page", "index"]


def test_one_that_was_cancelled_in_mid_run_too(here: Installation) -> None:
    here.imported(2)
    here.mail_server.answer("RCPT", "person1@", "450 4.2.0 later")
    digest = here.draft()
    here.run("digest", "send", digest, "--yes", code=1)
    address = path(link_in(here.mail_server.mails[0], "archive"))
    assert "list" in shown_in(here, address)
    here.run("digest", "cancel", digest)
    assert shown_in(here, address) == ["page"]


def test_a_correction_stands_on_the_page_and_moves_the_entry(ada: Installation) -> None:
    """D-195."""
    address = sent(ada)
    before, tag = feed(ada), get(ada, address).headers["ETag"]
    with time_machine.travel("2026-03-02T09:00:00Z"):
        ada.run("announcement", "add", ada.write("0.md", RECAP.replace("160", "161")))
        assert get(ada, address).headers["ETag"] != tag  # another day
        tag = get(ada, address).headers["ETag"]
        assert "What 160" in get(ada, address).text
        ada.run("digest", "correct", 1, "--note", "It was 161 countries, <sorry>.")
        page = get(ada, address)
    assert page.headers["ETag"] != tag
    assert str(page.last_modified).startswith("2026-03-02 09:00")
    assert ("What 161" in page.text, "Corrected on 2 March 2026" in page.text) == (True, True)
    assert '<p lang="en" dir="ltr">It was 161 countries, &lt;sorry&gt;.</p>' in get(ada, address, "fr").text
    ((first,), (second,)), after = (before.entries, feed(ada).entries), feed(ada)
    assert first.updated == first.published == second.published < second.updated
    assert after.feed.updated == second.updated
    assert (second.id, second.title) == (first.id, "What 161 countries discussed")
    assert "It was 161 countries" in second.content[0].value


def pages(here: Installation) -> Iterator[str]:
    """All that the archive can answer, in every language."""
    for code in Config.languages:
        listed = get(here, "/archive", code).text
        yield from (listed, get(here, "/archive/feed.atom", code).text, get(here, "/sitemap.xml").text)
        yield from (get(here, address, code).text for address in paths_in(listed))


def test_no_address_token_or_name_of_a_subscriber_is_in_any_of_it(here: Installation) -> None:
    """D-187."""
    here.subscribed("ada@example.org")
    here.subscribed("benoit@example.org", language="fr")
    here.run("digest", "send", here.draft(RECAP, RECAP_FR, CALL), "--yes")
    mails = here.mail_server.mails
    tokens = {leave_link(mail).rpartition("/")[2].partition("?")[0] for mail in mails}
    assert len(tokens) == len(mails) == 2
    with here.app.app_context():
        uids = set(db.session.scalars(select(Subscriber.uid)))
    secrets = {"ada@", "benoit@", "/unsubscribe/", "/confirm/", "/manage/", *tokens, *uids}
    found = list(pages(here))
    assert len(found) == 6 * 4
    assert [secret for secret in secrets for page in found if secret in page] == []
    addresses = {each for page in found for each in re.findall(r"[\w.+-]+@[\w.-]+", page)}
    assert addresses == set()


# The feed.


def test_a_feed_has_each_digest_whole_in_its_language(ada: Installation) -> None:
    address = sent(ada, RECAP, RECAP_FR, CALL)
    found = feed(ada, "fr")
    assert (found.feed.language, found.feed.author, found.feed.title) == ("fr", *["Frontier Technologies"] * 2)
    assert link(found, "self") == "/archive/feed.atom?lang=fr"
    (entry,) = found.entries
    assert (entry.title, entry.title_detail.language) == ("Ce dont 160 pays ont discuté", "fr")
    assert entry.link == f"{BASE_URL}{address}?lang=fr"
    assert entry.summary == "Ce dont 160 pays ont discuté · Call <for> “comments” & more"
    (content,) = entry.content
    assert content.type == "text/html"
    for words in (
        "s’est achevée jeudi",
        "Call &lt;for&gt; “comments” &amp; more",
        "en anglais",
        "<em>secretariat</em>",
    ):
        assert words in content.value


def test_names_for_ever_change_with_nothing(ada: Installation) -> None:
    """D-188: RFC 4151."""
    sent(ada)
    ada.configure(BASE_URL="http://lists.example.org:8000")
    before = {code: feed(ada, code) for code in ("en", "fr")}
    ada.run("announcement", "add", ada.write("0.md", RECAP.replace("160", "161")))
    ada.configure(BASE_URL="https://lists.example.org", LIST_NAME="Another name")
    after = {code: feed(ada, code) for code in ("en", "fr")}
    names = [[each.feed.id, *(entry.id for entry in each.entries)] for each in before.values()]
    assert names == [[each.feed.id, *(entry.id for entry in each.entries)] for each in after.values()]
    assert len({name for each in names for name in each}) == 4
    assert after["en"].entries[0].link.startswith("https://lists.example.org/archive/")


def test_a_feed_and_a_list_of_many_digests_come_in_pages(here: Installation) -> None:
    """D-188: RFC 5005; every digest once, the newest first."""
    slugs = fill(here, 45)
    read, address, names = [], "/archive/feed.atom?lang=en", set()
    while address:
        page = int(address.partition("page=")[2] or 1)
        found = feed(here, **({"page": str(page)} if page > 1 else {}))
        assert link(found, "self") == address
        assert (link(found, "first"), link(found, "last")) == (
            "/archive/feed.atom?lang=en",
            "/archive/feed.atom?lang=en&page=3",
        )
        assert (link(found, "previous") is None) == (page == 1)
        read += [entry.link.rpartition("/")[2].partition("?")[0] for entry in found.entries]
        names.add(found.feed.id)
        address = link(found, "next")
    assert (read, len(names)) == (slugs, 1)
    listed, address = [], "/archive"
    while address:
        page = get(here, address).text
        listed += re.findall(r'<h3><a href="/archive/([^"?]+)', page)
        address = next(iter(re.findall(r'rel="next" href="([^"?]+)', page)), None)
    assert listed == slugs


def test_a_page_that_is_not_there_is_not_found(here: Installation) -> None:
    fill(here, 45)
    for page in ("0", "4", "-1", "x", "²", "٢", "99999999999999999999", "", "1.0", "02"):
        assert here.site.get("/archive/feed.atom", query_string={"page": page}).status_code == 404, page
        assert here.site.get(f"/archive/page/{page}").status_code == 404, page
    assert here.site.get("/archive/page/1").status_code == 404  # the same as /archive


def test_search_engines_find_every_page_in_every_language(here: Installation) -> None:
    slugs = fill(here, 2)
    assert f"Sitemap: {BASE_URL}/sitemap.xml\n" in here.site.get("/robots.txt").text
    root = ElementTree.fromstring(here.site.get("/sitemap.xml").data)
    found = [
        str(each.text).removeprefix(BASE_URL) for each in root.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")
    ]
    paths = ["/", "/archive", "/privacy", *(f"/archive/{slug}" for slug in slugs)]
    assert found == [f"{path}?lang={code}" for path in paths for code in Config.languages]
    assert {get(here, address.partition("?")[0]).status_code for address in found} == {200}


# Caches.


@pytest.mark.parametrize("what", ["/archive", "/archive/feed.atom", "/sitemap.xml", "digest"])
def test_who_has_it_already_is_told_so_and_nothing_is_rendered(here: Installation, what: str) -> None:
    slugs = fill(here, 2)
    address = f"/archive/{slugs[0]}" if what == "digest" else what
    first = get(here, address)
    assert first.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in first.headers
    with rendered() as seen:
        for header, condition in AGAIN.items():
            again = get(here, address, **{condition: first.headers[header]})
            assert (again.status_code, again.data) == (304, b"")
            for name in ("ETag", "Cache-Control", "Content-Security-Policy"):
                assert again.headers[name] == first.headers[name]
    assert seen == set()
    assert get(here, address, **{"If-None-Match": '"another"'}).status_code == 200
    earlier = {"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"}
    assert get(here, address, **earlier).status_code == 200
    # A tag wins over a date: what was taken out of the list moves no date.
    both = {"If-None-Match": '"another"', "If-Modified-Since": str(first.headers["Last-Modified"])}
    assert get(here, address, **both).status_code == 200


@pytest.mark.parametrize("address", ["/archive", "/archive/feed.atom", "digest"])
def test_a_tag_tells_every_change(here: Installation, address: str) -> None:
    slugs = fill(here, 3)
    address = f"/archive/{slugs[1]}" if address == "digest" else address
    tags = [get(here, address).headers["ETag"]]

    def differs(code: str = "en") -> bool:
        tags.append(get(here, address, code).headers["ETag"])
        return len(set(tags)) == len(tags)

    assert differs("fr")
    change(here, slugs[1], erratum="One", corrected_at=FIRST)
    assert differs()
    change(here, slugs[0], in_archive=False)
    assert differs()
    here.configure(LIST_NAME="Another name")
    assert differs()
    here.configure(BASE_URL="https://lists.example.org")
    assert differs()


def test_all_processes_agree_on_a_tag(here: Installation) -> None:
    fill(here, 1)
    first = get(here, "/archive").headers["ETag"]
    here.close()
    assert get(here, "/archive").headers["ETag"] == first


@pytest.mark.parametrize("address", ["/archive", "/archive/feed.atom", "digest"])
def test_only_what_names_no_language_varies_by_the_browsers(here: Installation, address: str) -> None:
    """D-193."""
    slugs = fill(here, 1)
    address = f"/archive/{slugs[0]}" if address == "digest" else address
    asked = {"Accept-Language": "fr"}
    plain = here.site.get(address, headers=asked)
    assert (plain.headers["Vary"], plain.headers["Content-Language"]) == ("Accept-Language", "fr")
    unknown = here.site.get(address, query_string={"lang": "tlh"}, headers=asked)
    assert (unknown.headers["Vary"], unknown.headers["Content-Language"]) == ("Accept-Language", "fr")
    named = here.site.get(address, query_string={"lang": "ru"}, headers=asked)
    assert ("Vary" in named.headers, named.headers["Content-Language"]) == (False, "ru")


def test_what_is_not_there_is_kept_by_nobody(here: Installation) -> None:
    for address in ("/archive/none", "/archive/page/7", "/archive/feed.atom?page=7"):
        assert here.site.get(address).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_page_of_twenty_announcements_is_quick(here: Installation) -> None:
    """It takes a tenth of this, so that a busy machine does not fail it."""
    address = f"/archive/{fill(here, 2, announcements=20)[0]}"
    page = get(here, address).text
    assert page.count("<article ") == 20
    times = []
    for _ in range(10):
        began = time.perf_counter()
        get(here, address)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.05, times
