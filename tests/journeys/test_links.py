"""Links that are not what they should be, and a database that can't be used: the right page, no hint, no false word."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from mailer.links import LIFETIMES, Links, Purpose

from ..installation import BASE_URL, SECRET, Installation, link_in

PAGES = {
    Purpose.CONFIRM: "/confirm/",
    Purpose.UNSUBSCRIBE: "/unsubscribe/",
    Purpose.NOT_ME: "/not-me/",
    Purpose.MANAGE: "/manage/",
    Purpose.GOODBYE: "/goodbye/",
    Purpose.RESTORE: "/restore/",
}
LINKS = Links(BASE_URL, (SECRET,))
FORGER = Links(BASE_URL, ("another secret that is long enough",))
# Where a link leads that is genuine and belongs to nothing here: (status, words) of the page.
NOTHING = {
    Purpose.CONFIRM: (410, "This link has expired"),
    Purpose.UNSUBSCRIBE: (200, "You are not subscribed"),
    Purpose.NOT_ME: (200, "You will get no more of these letters"),
    Purpose.MANAGE: (410, "This link has expired"),
    Purpose.GOODBYE: (200, "You are not subscribed"),
    Purpose.RESTORE: (410, "There is nothing to change back"),
}
EVERY = list(NOTHING)
BODIES: dict[Purpose, dict[str, str]] = {Purpose.GOODBYE: {"undo": "yes"}, Purpose.MANAGE: {"frequency": "monthly"}}


def token(links: Links, purpose: Purpose, uid: str, list_id: int = 1, at: datetime | None = None) -> str:
    if purpose in LIFETIMES:
        return links.passing_token(purpose, uid, list_id, at or datetime.now(UTC))
    return links.unsubscribe_token(uid, list_id) if purpose is Purpose.UNSUBSCRIBE else links.not_me_token(uid, list_id)


def uid_of(here: Installation, email: str) -> str:
    """The name of a person in the links of their letters."""
    here.sign_up(email)
    here.run("run-due")
    return link_in(here.letters(email)[0], "confirm").split("/")[2].split(".")[0]


@pytest.mark.parametrize("purpose", EVERY)
def test_a_link_that_is_forged_cut_or_borrowed_is_not_found(here: Installation, purpose: Purpose) -> None:
    """D-28: no page says what is wrong with it."""
    uid = uid_of(here, "ada@example.org")
    good = token(LINKS, purpose, uid)
    bad = [
        token(FORGER, purpose, uid),
        good[:-1],
        good[1:],
        good.rpartition(".")[0],
        good.replace(uid, uid[::-1]),
        *(token(LINKS, other, uid) for other in EVERY if other is not purpose),
        "x",
        "%00",
        "%ff",
        "a" * 3000,
    ]
    before = here.json("subscriber", "show", "ada@example.org")
    answers = [
        answer
        for each in bad
        for answer in (
            here.site.get(PAGES[purpose] + each),
            here.site.post(PAGES[purpose] + each, data=BODIES.get(purpose)),
        )
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text.partition("<main")[2] for answer in answers}) == 1
    assert here.json("subscriber", "show", "ada@example.org") == before


@pytest.mark.parametrize("purpose", EVERY)
@pytest.mark.parametrize("list_id", [1, 2])
def test_a_link_to_nobody_or_of_another_list_leads_to_the_page_of_what_is_over(
    here: Installation, purpose: Purpose, list_id: int
) -> None:
    """D-28: of an erased person, say."""
    uid = uid_of(here, "ada@example.org") if list_id == 2 else "nobody"
    status, words = NOTHING[purpose]
    link = PAGES[purpose] + token(LINKS, purpose, uid, list_id)
    shown, done = here.site.get(link), here.site.post(link, data=BODIES.get(purpose))
    assert (shown.status_code, words in shown.text) == (status, True)
    assert done.status_code in (200, 410)
    assert "ada@" not in shown.text + done.text
    assert here.json("stats")["confirmed"] == 0
    assert here.json("stats")["ended"] == 0


@pytest.mark.parametrize("purpose", list(LIFETIMES))
def test_a_link_whose_time_is_over_changes_nothing(here: Installation, purpose: Purpose) -> None:
    """D-114, D-132"""
    here.subscribed("ada@example.org")
    uid = here.manage_link("ada@example.org").split("/")[2].split(".")[0]
    before = here.json("subscriber", "show", "ada@example.org")
    old = datetime.now(UTC) - LIFETIMES[purpose] - timedelta(seconds=1)
    answer = here.site.post(PAGES[purpose] + token(LINKS, purpose, uid, 1, old), data=BODIES.get(purpose))
    assert answer.status_code == 410
    assert here.json("subscriber", "show", "ada@example.org") == before


def acts(here: Installation) -> list[tuple[str, dict[str, str]]]:
    """One POST of each kind, with links that work."""
    here.subscribed("ada@example.org")
    uid = here.manage_link("ada@example.org").split("/")[2].split(".")[0]
    capable = [(PAGES[purpose] + token(LINKS, purpose, uid), BODIES.get(purpose, {})) for purpose in EVERY]
    return [*capable, ("/subscribe", {"email": "b@example.org"}), ("/manage", {"email": "b@example.org"})]


def check_trouble(here: Installation, todo: list[tuple[str, dict[str, str]]]) -> None:
    """All at once: each waits a while for the database."""
    with ThreadPoolExecutor(len(todo)) as pool:
        answers = list(pool.map(lambda act: here.site.post(act[0], data=act[1]), todo))
    for answer in answers:
        assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "30"), answer.request.path
        assert "it was not saved" in answer.text


def test_a_database_that_is_gone_is_told(here: Installation) -> None:
    """D-203: never a false 200."""
    todo = acts(here)
    kind, _, place = str(here.settings["DATABASE_URL"]).partition("://")
    here.configure(DATABASE_URL=f"{kind}://{place.replace('mailer.db', 'gone/mailer.db').replace('/test_', '/gone_')}")
    check_trouble(here, todo)


@contextmanager
def locked(here: Installation) -> Iterator[None]:
    with sqlite3.connect(here.folder / "mailer.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()
    other.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_is_locked_is_told(here: Installation) -> None:
    """D-203. When the lock is gone, the same request is done."""
    todo = acts(here)
    leave, _ = todo[EVERY.index(Purpose.UNSUBSCRIBE)]
    with locked(here):
        check_trouble(here, todo)
    assert here.site.post(leave).status_code == 200
    assert here.json("stats")["ended"] == 1
