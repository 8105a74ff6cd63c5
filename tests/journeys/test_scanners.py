"""Mail servers and their scanners open every link in every letter before its reader does. Nothing may come of it."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser

from mailer.db import Base, db

from ..installation import BASE_URL, Installation, LiveSite, link_in

LINK = re.compile(rf"{re.escape(BASE_URL)}(/[^\s\"<>]*)")
INNER = re.compile(r'(?:href|action)="(/[^"]*)"')
AHEAD_OF_TIME: tuple[dict[str, str], ...] = (
    {"Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"X-Moz": "prefetch"},
    {"User-Agent": "Mozilla/5.0 (compatible; link scanner)"},
)
LETTERS = {"confirmation", "already-subscribed", "manage-link", "address-change", "goodbye", "digest"}


def every_letter(here: Installation) -> list[str]:
    """The links of a mailbox that holds one letter of each kind, all of them open to something."""
    here.configure(GOODBYE_LETTER="true")
    here.subscribed("ada@example.org", "benoit@example.org", "moves@example.org", "leaves@example.org")
    here.run("digest", "send", here.draft(), "--yes")
    here.site.post(here.manage_link("moves@example.org"), data={"email": "moved@example.org"})
    here.run("run-due")
    here.confirm("moved@example.org")
    here.site.post(link_in(here.letters("leaves@example.org")[0], "unsubscribe"))
    here.sign_up("ada@example.org")
    here.sign_up("pending@example.org")
    here.site.post("/manage", data={"email": "benoit@example.org"})
    here.run("run-due")
    written = [each["letter"] for mail in here.mail_server.mails for each in deliveries(here, mail.to)]
    assert set(written) == LETTERS
    texts = [mail.part(part) for mail in here.mail_server.mails for part in ("plain", "html")]
    headers = [str(mail.message["List-Unsubscribe"]) for mail in here.mail_server.mails]
    found = {link.replace("&amp;", "&") for text in texts + headers for link in LINK.findall(text)}
    for page in ("confirm", "not-me", "manage", "restore", "unsubscribe"):
        assert any(link.startswith(f"/{page}/") for link in found), page
    return sorted(found)


def deliveries(here: Installation, email: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = here.json("subscriber", "show", email)["deliveries"]
    return found


def contents(here: Installation) -> dict[str, list[Any]]:
    """Every row of every table."""
    with here.app.app_context():
        tables = Base.metadata.sorted_tables
        rows = {table.name: sorted(map(str, db.session.execute(sa.select(table)).all())) for table in tables}
        db.session.remove()
    return rows


def test_a_client_that_opens_every_link_of_every_letter_changes_nothing(here: Installation) -> None:
    """D-26, D-113, D-150: GET, HEAD and OPTIONS, as a reader's mail program or a scanner sends them."""
    links = every_letter(here)
    before = contents(here)
    for link in links:
        for method in ("GET", "HEAD", "OPTIONS"):
            assert here.site.open(link, method=method).status_code == 200, (method, link)
        for headers in AHEAD_OF_TIME:
            page = here.site.get(link, headers=headers).text
        for inner in INNER.findall(page):
            here.site.get(inner.replace("&amp;", "&"))
    assert contents(here) == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_browser_that_opens_every_link_and_waits_changes_nothing(browser: Browser, here: Installation) -> None:
    """D-26, D-113: scanners run JavaScript, too, and look at a page for a while."""
    links = every_letter(here)
    before = contents(here)
    with LiveSite(here.app) as site:
        pages = [browser.new_page() for _ in links]
        for page, link in zip(pages, links, strict=True):
            answer = page.goto(site.url + link)
            assert answer
            assert answer.status == 200, link
        pages[-1].wait_for_timeout(10_000)
        for page in pages:
            page.close()
    assert contents(here) == before
