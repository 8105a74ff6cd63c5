"""Doing together: what many wish for at the same moment, few commits, and nobody suffers from another."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from mailer.db import db, transaction
from mailer.errors import DatabaseError, NotFound
from mailer.models import MailingList, Subscriber
from mailer.together import together

from ..installation import Installation

BUG, REFUSED, NO_TABLE, INTERRUPTED = "bug", "refused", "no table", "interrupted"


@dataclass(frozen=True)
class Wish:
    """That somebody of this name be there. `hold`: only once it is let go on."""

    name: str
    started: threading.Event | None = None
    go_on: threading.Event | None = None


def add(session: Session, wishes: Sequence[Wish]) -> list[Exception | None]:
    return [add_one(session, wish) for wish in wishes]


def add_one(session: Session, wish: Wish) -> Exception | None:
    if wish.started and wish.go_on:
        wish.started.set()
        assert wish.go_on.wait(10)
        return None
    if wish.name == REFUSED:
        return NotFound("there is none")
    if wish.name == BUG:
        raise ZeroDivisionError
    if wish.name == INTERRUPTED:
        raise KeyboardInterrupt
    if wish.name == NO_TABLE:
        session.execute(sa.text("SELECT * FROM nothing"))
    session.add(Subscriber(email=f"{wish.name}@example.org", email_key=f"{wish.name}@example.org", language="en"))
    session.flush()
    return None


def in_threads(here: Installation, *names: str) -> list[BaseException | None]:
    """What each was told who wished for these. They all wait for the first, who holds the turn."""
    found: dict[int, BaseException | None] = {}
    started, go_on = threading.Event(), threading.Event()

    def run(number: int, wish: Wish) -> None:
        with here.app.app_context():
            try:
                together(add, wish)
                found[number] = None
            except Exception as error:
                found[number] = error

    holder = threading.Thread(target=run, args=(-1, Wish("", started, go_on)))
    holder.start()
    assert started.wait(10)
    others = [threading.Thread(target=run, args=(number, Wish(name))) for number, name in enumerate(names)]
    for thread in others:
        thread.start()
    waiting = here.app.extensions["mailer.together"][add].waiting
    while len(waiting) < len(names):
        threading.Event().wait(0.01)
    go_on.set()
    for thread in (holder, *others):
        thread.join(20)
    assert found.pop(-1) is None
    return [found[number] for number in range(len(names))]


def people(here: Installation) -> set[str]:
    with here.app.app_context():
        return {str(email).partition("@")[0] for email in db.session.scalars(sa.select(Subscriber.email))}


def test_who_waits_is_committed_together(here: Installation) -> None:
    commits: list[object] = []
    with here.app.app_context():
        sa.event.listen(db.engine, "commit", commits.append)
    names = [f"p{number}" for number in range(8)]
    assert in_threads(here, *names) == [None] * 8
    assert people(here) == set(names)
    assert len(commits) == 2, "the first, and all the others"


def test_a_refusal_is_nothing_to_the_others(here: Installation) -> None:
    found = in_threads(here, "ada", REFUSED, "eva")
    assert [type(each) for each in found] == [type(None), NotFound, type(None)]
    assert people(here) == {"ada", "eva"}


def test_a_bug_that_one_meets_is_undone_and_is_nothing_to_the_others(here: Installation) -> None:
    found = in_threads(here, "ada", BUG, "eva")
    assert [type(each) for each in found] == [type(None), ZeroDivisionError, type(None)]
    assert people(here) == {"ada", "eva"}


def test_what_goes_wrong_in_the_database_is_told_to_all(here: Installation) -> None:
    """It may have undone what it did for the others: nobody may take that for done (D-114)."""
    found = in_threads(here, "ada", "eva", "ada")
    assert [type(each) for each in found] == [DatabaseError] * 3, found
    assert people(here) == set()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_after_any_trouble_it_goes_on(here: Installation) -> None:
    with here.app.app_context():
        with pytest.raises(KeyboardInterrupt):
            together(add, Wish(INTERRUPTED))
        with transaction() as session:
            session.execute(sa.update(MailingList).values(name="still writable"))
        with pytest.raises(DatabaseError):
            together(add, Wish(NO_TABLE))
        together(add, Wish("ada"))
    assert people(here) == {"ada"}


def test_what_was_told_to_come_again_is_not_done_later(here: Installation) -> None:
    """Who was told that nothing was saved may go away."""
    started, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with here.app.app_context():
            together(add, Wish("", started, go_on))

    holder = threading.Thread(target=hold)
    holder.start()
    assert started.wait(10)
    with here.app.app_context():
        with pytest.raises(DatabaseError, match="busy"):
            together(add, Wish("ada"), patience=0.05)
        go_on.set()
        holder.join()
        together(add, Wish("bob"))
    assert people(here) == {"bob"}
