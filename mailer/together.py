"""Doing together: what many ask for at the same moment is done in one transaction, so that they wait for the disk once
and the database is asked once for all of them."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from flask import current_app
from sqlalchemy.orm import Session

from mailer.db import BUSY_SECONDS, transaction
from mailer.errors import DatabaseError

T = TypeVar("T")
# What is to be done for several, in the caller's transaction. It returns what each of them is refused for, and has done
# nothing for those.
Work = Callable[[Session, Sequence[T]], Sequence[Exception | None]]


class Piece(Generic[T]):
    """What somebody asks for, and what became of it."""

    def __init__(self, wish: T) -> None:
        self.wish = wish
        self.done = False
        self.error: BaseException | None = None

    def settle(self, error: BaseException | None) -> None:
        self.error, self.done = error, True


class Queue(Generic[T]):
    """Those of one process who wait for the same kind of work. Who gets the turn does it for all of them."""

    def __init__(self, work: Work[T]) -> None:
        self.work = work
        self.waiting: deque[Piece[T]] = deque()
        self.turn = threading.Lock()

    def do_all(self) -> None:
        self.do([self.waiting.popleft() for _ in range(len(self.waiting))])

    def do(self, pieces: Sequence[Piece[T]]) -> None:
        """Trouble of the database is everybody's. Of anything else that goes wrong only one may be the cause: each is
        done alone, then."""
        try:
            with transaction() as session:
                refusals = self.work(session, [piece.wish for piece in pieces])
        except BaseException as error:  # nothing was committed, so nobody's work is done
            if len(pieces) > 1 and isinstance(error, Exception) and not isinstance(error, DatabaseError):
                for piece in pieces:
                    self.do([piece])
                return
            for piece in pieces:
                piece.settle(error)
        else:
            for piece, refusal in zip(pieces, refusals, strict=True):
                piece.settle(refusal)


def together(work: Work[T], wish: T, patience: float = 2 * BUSY_SECONDS) -> None:
    """Let `work` be done for a wish, in a write transaction with those of others who wait for the same, and wait for
    the commit. Not to be called within a transaction. Neither may depend on the request: another thread may do it.
    `patience`: how many seconds it waits for its turn.

    Raises what the wish was refused for, and DatabaseError as `transaction` does; nothing is done then.
    """
    queues: dict[Work[T], Queue[T]] = current_app.extensions.setdefault("mailer.together", {})
    queue = queues.setdefault(work, Queue(work))
    mine = Piece(wish)
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
    if mine.error:
        raise mine.error
    if not mine.done:
        raise RuntimeError("who took this from the queue did not do it")
