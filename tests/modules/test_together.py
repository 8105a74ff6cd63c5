"""Writing together: many pieces of work, few commits, and no piece suffers from another."""

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from mailer.db import db, transaction
from mailer.errors import DatabaseError, NotFound
from mailer.models import MailingList, Subscriber
from mailer.together import together

from ..installation import Installation


def add(name: str) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        session.add(Subscriber(email=f"{name}@example.org", email_key=f"{name}@example.org", language="en"))
        return name

    return work


def fail(session: Session) -> None:
    add("nobody")(session)
    session.flush()
    add("nor they")(session)
    raise NotFound("there is none")


def in_threads(here: Installation, *works: Callable[[Session], object]) -> list[object]:
    """What each of them returned or raised. They all wait for the first, which holds the turn."""
    found: list[object] = [None] * len(works)
    started, go_on = threading.Event(), threading.Event()

    def first(_: Session) -> None:
        started.set()
        assert go_on.wait(10)

    def run(number: int, work: Callable[[Session], object]) -> None:
        with here.app.app_context():
            try:
                found[number] = together(work)
            except Exception as error:
                found[number] = error

    holder = threading.Thread(target=run, args=(0, first))
    holder.start()
    assert started.wait(10)
    others = [threading.Thread(target=run, args=each) for each in enumerate(works)]
    for thread in others:
        thread.start()
    with here.app.app_context():
        queue = here.app.extensions["mailer.together"]
        while len(queue.waiting) < len(works):
            threading.Event().wait(0.01)
    go_on.set()
    for thread in (holder, *others):
        thread.join(20)
    return found


def people(here: Installation) -> set[str]:
    with here.app.app_context():
        return set(db.session.scalars(sa.select(Subscriber.email)))


def test_who_waits_is_committed_together(here: Installation) -> None:
    commits: list[object] = []
    with here.app.app_context():
        sa.event.listen(db.engine, "commit", commits.append)
    names = [f"p{number}" for number in range(8)]
    assert in_threads(here, *map(add, names)) == names
    assert people(here) == {f"{name}@example.org" for name in names}
    assert len(commits) == 2, "the first, and all the others"


def test_what_goes_wrong_is_undone_and_is_nothing_to_the_others(here: Installation) -> None:
    found = in_threads(here, add("ada"), fail, add("eva"))
    assert [each if isinstance(each, str) else type(each) for each in found] == ["ada", NotFound, "eva"]
    assert people(here) == {"ada@example.org", "eva@example.org"}


def test_what_goes_wrong_in_the_database_is_told_to_all(here: Installation) -> None:
    """It may have undone what it did for the others: nobody may take that for done (D-114)."""
    found = in_threads(here, add("ada"), add("eva"), add("ada"))
    assert [type(each) for each in found] == [DatabaseError] * 3, found
    assert people(here) == set()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_that_can_not_be_used_is_told_to_all(here: Installation) -> None:
    def lose(_: Session) -> None:
        raise KeyboardInterrupt

    with here.app.app_context():
        with pytest.raises(KeyboardInterrupt):
            together(lose)
        with transaction() as session:
            session.execute(sa.update(MailingList).values(name="still writable"))
        with pytest.raises(DatabaseError):
            together(lambda session: session.execute(sa.text("SELECT * FROM nothing")))
        assert together(add("ada")) == "ada"
    assert people(here) == {"ada@example.org"}


def test_what_was_told_to_come_again_is_not_done_later(here: Installation) -> None:
    """Who was told that nothing was saved may go away."""
    started, go_on = threading.Event(), threading.Event()

    def first(_: Session) -> None:
        started.set()
        assert go_on.wait(10)

    def hold() -> None:
        with here.app.app_context():
            together(first)

    holder = threading.Thread(target=hold)
    holder.start()
    assert started.wait(10)
    with here.app.app_context():
        with pytest.raises(DatabaseError, match="busy"):
            together(add("ada"), patience=0.05)
        go_on.set()
        holder.join()
        assert together(add("bob")) == "bob"
        assert db.session.scalars(sa.select(Subscriber.email)).all() == ["bob@example.org"]
