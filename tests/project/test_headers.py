"""Every response there can be has the headers, none has a cookie, none leads elsewhere (D-151 to D-157, D-173)."""

import re
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse

from ..installation import Installation, leave_link, link_in
from ..strangers import Stranger, open_to_strangers

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
FORBIDDEN = ("unsafe-inline", "unsafe-eval", "http:", "blob:", "*")


def check(answer: TestResponse, *, secure: bool = False) -> None:
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    for rule in ("base-uri 'none'", "object-src 'none'", "frame-ancestors 'none'", "form-action 'self'"):
        assert rule in policy
    assert not any(word in policy for word in FORBIDDEN)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "Permissions-Policy" in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert ("Strict-Transport-Security" in answer.headers) == secure
    if answer.mimetype == "text/html":
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", answer.text)


@pytest.fixture
def answers(here: Installation) -> dict[str, TestResponse]:
    """Something of everything that the site can answer."""
    here.subscribed("ada@example.org")
    here.run("digest", "send", here.draft(), "--yes")
    here.sign_up("new@example.org")
    here.run("run-due")
    confirm, leave = link_in(here.letters("new@example.org")[0], "confirm"), leave_link(here.mail_server.mails[0])
    archive = link_in(here.mail_server.mails[0], "archive")
    get, post = here.site.get, here.site.post
    found = {path: get(path) for path in ("/", confirm, leave, "/archive", archive, "/privacy", "/healthz")}
    found |= {path: get(path) for path in ("/robots.txt", "/.well-known/security.txt", "/api/v1/openapi.json")}
    found |= {path: get(path) for path in ("/archive/feed.atom", "/sitemap.xml", "/archive/page/2")}
    found |= {path: get(path) for path in ("/static/style.css", "/static/icon.svg", "/static/altcha/altcha.min.js")}
    found |= {
        path: get(path) for path in ("/nowhere", "/static/none", "/archive/none", f"{confirm[:20]}x", "/api/none")
    }
    found |= {
        "sign-up": post("/subscribe", data={"email": "b@example.org"}),
        "error": post("/subscribe", data={"email": "b"}),
        "too large": post("/subscribe", data={"email": "b" * 99_999}),
        "confirmed": post(confirm),
        "left": post(leave),
        "api": post("/api/v1/subscriptions", json={"email": "c@example.org"}),
        "api error": post("/api/v1/subscriptions", json={}),
        "no JSON": post("/api/v1/subscriptions", data={"email": "a"}),
        "method": here.site.delete("/"),
        "options": here.site.options("/"),
        "head": here.site.head("/"),
        "host": get("/", headers={"Host": "evil.test"}),
        "feed not modified": get(
            "/archive/feed.atom", headers={"If-None-Match": get("/archive/feed.atom").headers["ETag"]}
        ),
        "not modified": get("/static/style.css", headers={"If-None-Match": get("/static/style.css").headers["ETag"]}),
    }
    return found


def test_every_answer_has_the_headers(answers: dict[str, TestResponse]) -> None:
    for answer in answers.values():
        check(answer)
    assert {answer.status_code for answer in answers.values()} >= {200, 202, 304, 400, 404, 405, 413, 415}


def test_an_error_of_ours_and_a_lost_database_have_them_too(here: Installation) -> None:
    def crash() -> None:
        raise RuntimeError

    here.app.add_url_rule("/crash", view_func=crash)
    check(here.site.get("/crash"))
    here.configure(DATABASE_URL=f"sqlite:///{here.folder}/none/none.db")
    answer = here.site.post("/subscribe", data={"email": "ada@example.org"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    check(answer)
    check(here.site.post("/api/v1/subscriptions", json={"email": "ada@example.org"}))


def test_the_page_that_asks_for_proof_and_the_refusal_have_them(here: Installation) -> None:
    open_to_strangers(here, LIMIT_CLIENT="1/1h", LIMIT_FACTOR=2)
    for name in "abc":
        answer = Stranger(here).sign_up(f"{name}@example.org")
        check(answer)
    assert answer.status_code == 429
    check(Stranger(here).post("d@example.org"))


@pytest.mark.parametrize(("url", "secure"), [("https://lists.example.org", True), ("http://lists.example.org", False)])
def test_browsers_are_kept_on_https_where_the_site_is(here: Installation, url: str, secure: bool) -> None:
    """D-151: HSTS for at least a year, but only if it is true."""
    here.configure(BASE_URL=url)
    for path in ("/", "/nowhere", "/static/style.css"):
        check(here.site.get(path), secure=secure)
    told = here.site.get("/").headers.get("Strict-Transport-Security", "max-age=0")
    assert (int(told.split(";")[0].split("=")[1]) >= 31_536_000) == secure


def test_what_a_token_opens_is_kept_by_nobody(answers: dict[str, TestResponse]) -> None:
    """D-153, D-154."""
    for name, answer in answers.items():
        if name.startswith(("/confirm", "/unsubscribe")) or name in ("/", "sign-up", "error", "confirmed", "left"):
            assert answer.headers["Cache-Control"] == "no-store", name
            assert '<meta name="robots" content="noindex">' in answer.text or name in ("/", "error"), name


def test_no_answer_leads_away(here: Installation, answers: dict[str, TestResponse]) -> None:
    """D-156: there is no redirect at all, wherever a parameter points."""
    for evil in ("//evil.test", "/\\evil.test", "https:evil.test", "https://evil.test", "%2f%2fevil.test"):
        for name in ("next", "return", "redirect", "url", "lang"):
            found = here.site.get(f"/?{name}={evil}")
            assert found.status_code == 200
            assert "Location" not in found.headers
            assert "evil.test" not in re.findall(r'(?:href|action|src)="([^"]*)"', found.text)
    for path in ("//evil.test", "/\\evil.test", "///evil.test/%2e%2e"):
        found = here.site.get(path)
        assert found.status_code in (400, 404, 308)
        assert urlsplit(found.headers.get("Location", "/")).netloc in ("", "localhost")
    assert not [name for name, answer in answers.items() if "Location" in answer.headers]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.test"},
        {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/evil"},
        {"Forwarded": "host=evil.test;proto=https"},
        {"X-Original-URL": "//evil.test/", "X-Host": "evil.test"},
        {"Referer": "https://evil.test/", "Origin": "https://evil.test"},
    ],
)
@pytest.mark.parametrize("hops", [0, 1])
def test_links_in_letters_come_from_the_setting_alone(here: Installation, headers: dict[str, str], hops: int) -> None:
    """D-157 (X12 of the standards)."""
    here.configure(TRUSTED_PROXIES=hops)
    assert Stranger(here, "192.0.2.1", **headers).post_from_another_site("ada@example.org").status_code == 200
    here.run("run-due")
    letter = here.mail_server.mails[0]
    assert b"evil" not in letter.raw
    assert link_in(letter, "confirm")


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.evil.test", "evil.test:8000", "", "a@127.0.0.1"])
def test_only_our_own_hosts_are_answered(here: Installation, host: str) -> None:
    answer = here.site.post("/subscribe", data={"email": "ada@example.org"}, headers={"Host": host})
    assert answer.status_code == 400
    assert answer.mimetype == "text/plain"
    assert here.json("stats")["pending"] == 0


def test_robots_and_finders_of_holes_are_told(here: Installation) -> None:
    """D-173: RFC 9116."""
    here.configure(LIST_OWNER="Owner <owner@example.org>", BASE_URL="https://lists.example.org")
    robots = here.site.get("/robots.txt").text
    assert "Disallow: /confirm/" in robots
    assert "Disallow: /unsubscribe/" in robots
    told = dict(line.split(": ", 1) for line in here.site.get("/.well-known/security.txt").text.splitlines())
    assert told["Contact"] == "mailto:owner@example.org"
    assert told["Canonical"] == "https://lists.example.org/.well-known/security.txt"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT00:00:00Z", told["Expires"])
