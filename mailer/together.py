"""Writing together: what many ask for at the same moment is committed once, so that they wait for the disk once."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from flask import current_app
from sqlalchemy import exc
from sqlalchemy.orm import Session

from mailer.db import BUSY_SECONDS, step, transaction
from mailer.errors import DatabaseError

T = TypeVar("T")


class Piece(Generic[T]):
    """Somebody's work, and what became of it."""

    def __init__(self, work: Callable[[Session], T]) -> None:
        self.work = work
        self.done = False
        self.value: T | None = None
        self.error: BaseException | None = None

    def attempt(self, session: Session) -> None:
        """What is wrong with this piece is undone, and is nothing to the others. What is wrong with the database is:
        it may have undone theirs, too."""
        try:
            with step(session, keep=True):
                self.value = self.work(session)
        except exc.SQLAlchemyError:
            raise
        except Exception as error:
            self.error = error

    def result(self) -> T:
        if self.error:
            raise self.error
        return cast(T, self.value)


class Queue:
    """The pieces of one process. Who gets the turn does the work of all who wait, in one transaction."""

    def __init__(self) -> None:
        self.waiting: deque[Piece[Any]] = deque()
        self.turn = threading.Lock()

    def do_all(self) -> None:
        pieces = [self.waiting.popleft() for _ in range(len(self.waiting))]
        try:
            with transaction() as session:
                if len(pieces) == 1:  # which spares a savepoint
                    pieces[0].value = pieces[0].work(session)
                else:
                    for piece in pieces:
                        piece.attempt(session)
        except BaseException as error:  # nothing was committed, so nobody's work is done
            for piece in pieces:
                piece.error = error
        for piece in pieces:
            piece.done = True


def together(work: Callable[[Session], T], patience: float = 2 * BUSY_SECONDS) -> T:
    """Do `work` in a write transaction that it may share with others, and wait for the commit. Not to be called within
    a transaction. It must depend on nothing of the request: another thread may do it. `patience`: how many seconds it
    waits for its turn.

    Raises what the work raises, after which nothing of it is kept, and DatabaseError as `transaction` does.
    """
    queue: Queue = current_app.extensions.setdefault("mailer.together", Queue())
    mine = Piece(work)
    queue.waiting.append(mine)
    if not queue.turn.acquire(timeout=patience):
        try:
            queue.waiting.remove(mine)
        except ValueError:  # somebody is at it: whether it is done will be known
            queue.turn.acquire()
        else:
            raise DatabaseError("the database is busy: try again in a moment")
    try:
        if not mine.done:
            queue.do_all()
    finally:
        queue.turn.release()
    return mine.result()
