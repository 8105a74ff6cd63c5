"""About all routes at once: none unexpected, none unprotected, none that writes on GET."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from mailer.db import db
from mailer.links import Links, Purpose
from mailer.models import Subscriber

from ..installation import BASE_URL, SECRET, Installation, leave_link, link_in

GET = {
    "/",
    "/confirm/<token>",
    "/not-me/<token>",
    "/unsubscribe/<token>",
    "/goodbye/<token>",
    "/restore/<token>",
    "/manage",
    "/manage/<token>",
    "/manage/<token>/<any(language, frequency, topics, pause, address, erase):part>",
    "/manage/<token>/data.<any(json, csv):form>",
    "/archive",
    "/archive/<slug>",
    "/archive/page/<number>",
    "/archive/feed.atom",
    "/privacy",
    "/healthz",
    "/metrics",
    "/robots.txt",
    "/sitemap.xml",
    "/.well-known/security.txt",
    "/api/v1/openapi.json",
    "/static/<path:filename>",
}
POST = {
    "/subscribe",
    "/api/v1/subscriptions",
    "/manage",
    "/confirm/<token>",
    "/confirm/<token>/fresh",
    "/not-me/<token>",
    "/unsubscribe/<token>",
    "/goodbye/<token>",
    "/restore/<token>",
    "/manage/<token>",
    "/manage/<token>/fresh",
    "/manage/<token>/close",
}


NOT_THERE = ("/nowhere", "/metrics", "/archive/page/1")  # without a token, and with one digest


def test_the_routes_are_the_expected_ones(here: Installation) -> None:
    """D-150; why one may change something is written in `web/guards.py`."""
    rules = here.app.url_map.iter_rules()
    found = {(rule.rule, method) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert found == {(rule, "GET") for rule in GET} | {(rule, "POST") for rule in POST}


@pytest.fixture
def pages(here: Installation) -> list[str]:
    """An address of every page, with links that work."""
    here.subscribed("ada@example.org")
    here.run("digest", "send", here.draft(), "--yes")
    mail = here.mail_server.mails[0]
    here.sign_up("new@example.org")
    here.run("run-due")
    asked = here.letters("new@example.org")[0]
    letters = [link_in(asked, "confirm"), link_in(asked, "not-me"), leave_link(mail)]
    manage = here.manage_link("ada@example.org")
    names = ("language", "frequency", "topics", "pause", "address", "erase", "data.json", "data.csv")
    settings = [manage, *(manage.replace("?", f"/{name}?") for name in names)]
    static = ["/static/style.css", "/static/icon.svg"]
    public = ["/", "/manage", "/archive", link_in(mail, "archive"), "/archive/feed.atom", "/privacy", "/healthz"]
    public += ["/sitemap.xml", "/robots.txt", "/.well-known/security.txt", "/archive/page/1", "/api/v1/openapi.json"]
    return [*letters, *settings, goodbye(here), restore(here), *public, *static, "/metrics", "/nowhere"]


def goodbye(here: Installation) -> str:
    """Where somebody who has left is asked why."""
    return f"/goodbye/{token(here, Purpose.GOODBYE, left(here, 'left@example.org'))}"


def restore(here: Installation) -> str:
    """The link of a letter to an address that another one took the place of."""
    return f"/restore/{token(here, Purpose.RESTORE, left(here, 'moved@example.org'))}"


def left(here: Installation, email: str) -> str:
    here.run("subscriber", "import", here.write("left.csv", f"email\n{email}\n"), "--basis", "a test")
    here.run("subscriber", "unsubscribe", email)
    with here.app.app_context():
        return str(db.session.scalar(sa.select(Subscriber.uid).where(Subscriber.email == email)))


def token(here: Installation, purpose: Purpose, uid: str) -> str:
    return Links(BASE_URL, (SECRET,)).passing_token(purpose, uid, 1, datetime.now(UTC))


def test_every_page_is_walked(here: Installation, pages: list[str]) -> None:
    routes = here.app.url_map.bind("127.0.0.1")
    assert {routes.match(page.split("?")[0], return_rule=True)[0].rule for page in pages[:-1]} == GET


@pytest.mark.parametrize("code", ["en", "fr"])
def test_every_page_has_the_security_headers_and_no_cookie(here: Installation, pages: list[str], code: str) -> None:
    for page in pages:
        answer = here.site.get(page.split("?")[0], query_string={"lang": code})
        assert answer.status_code == (404 if page in NOT_THERE else 200), page
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in answer.headers
        if answer.mimetype == "text/html":
            assert f'<html lang="{code}" dir="ltr">' in answer.text
            assert "<script" not in answer.text
            assert 'style="' not in answer.text


def test_pages_with_a_token_are_not_kept_by_anybody(here: Installation, pages: list[str]) -> None:
    for page in pages[:14]:
        assert here.site.get(page).headers["Cache-Control"] == "no-store"


def test_a_method_that_is_not_meant_is_refused(here: Installation, pages: list[str]) -> None:
    for page in pages[:-1]:
        assert here.site.put(page).status_code == 405, page
        assert here.site.delete(page).status_code == 405, page


@contextmanager
def watched() -> Iterator[list[str]]:
    """Statements that would change something."""
    writes: list[str] = []

    def see(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN", "SHOW")):
            writes.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", see)
    yield writes
    sa.event.remove(db.engine, "before_cursor_execute", see)


def test_no_page_writes_when_it_is_read(here: Installation, pages: list[str]) -> None:
    """D-150"""
    with here.app.app_context(), watched() as writes:
        for page in pages:
            here.site.get(page)
            here.site.head(page)
        assert writes == []


def test_a_page_is_small_with_all_it_loads_and_loads_nothing_from_elsewhere(
    here: Installation, pages: list[str]
) -> None:
    """D-153; 20 kB for what is ours, as it stands, before a proxy compresses them."""
    for page in pages:
        answer = here.site.get(page)
        loaded = set(re.findall(r'<(?:link rel="(?:stylesheet|icon)" href|img src|script src)="([^"]+)"', answer.text))
        assert all(each.startswith("/static/") for each in loaded), page
        most = 24_000 if page.startswith("/archive") else 20_000  # what was announced takes as much as it takes
        assert len(answer.data) + sum(len(here.site.get(each).data) for each in loaded) < most, page


def test_too_large_a_form_is_refused(here: Installation) -> None:
    assert here.site.post("/subscribe", data={"email": "a" * 200_000}).status_code == 413


def test_health_is_told(here: Installation) -> None:
    assert here.site.get("/healthz").get_json()["status"] == "ok"
