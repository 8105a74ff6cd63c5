"""A session with its patience: how it is opened without anybody waiting, and when it is given up."""

import socket
import time
from concurrent.futures import Executor, Future

from mailer.delivery.protocol import ServerTrouble
from mailer.delivery.session import Session
from mailer.errors import MailServerError

# Seconds between tries at a server in trouble; then the lane is given up, and nothing is lost. A server that has taken
# letters from us is worth waiting for.
PATIENCE = (0.5, 1.0, 2.0)
LONG_PATIENCE = (*PATIENCE, 4.0, 8.0, 15.0, 30.0)
FOR_EVER = 3600.0


class Lane:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.opening: Future[None] | None = None
        self.watched: socket.socket | None = None  # by a selector
        self.listens = True  # or waits until it can go on speaking
        self.not_before = 0.0  # by the monotonic clock
        self.failures = 0  # since the server last answered a letter
        self.worked = False  # whether it ever has
        self.trouble: ServerTrouble | None = None  # for which it was given up

    @property
    def may_open(self) -> bool:
        return not (self.trouble or self.opening) and time.monotonic() >= self.not_before

    def open(self, helpers: Executor) -> Future[None]:
        self.opening = helpers.submit(self.session.open)
        return self.opening

    def opened(self) -> MailServerError | None:
        """What the opening that is done met with, if it met with trouble."""
        opening, self.opening = self.opening, None
        try:
            if opening:
                opening.result()
        except MailServerError as trouble:
            return trouble
        return None

    def watch(self) -> socket.socket:
        """The socket that a selector watches from now on."""
        self.watched, self.listens = self.session.stream, True
        return self.watched

    def wait(self, turn: float) -> float:
        """Seconds until it can begin with a letter whose turn comes in `turn` seconds, or be opened for one. Whoever
        opens it rings."""
        if self.opening or self.trouble:
            return FOR_EVER
        return turn if self.session.is_open else max(0.0, self.not_before - time.monotonic())

    def rest(self, trouble: ServerTrouble) -> None:
        """Try again after a while, or never."""
        pauses = LONG_PATIENCE if self.worked else PATIENCE
        if self.failures < len(pauses):
            self.not_before = time.monotonic() + pauses[self.failures]
            self.failures += 1
        else:
            self.trouble = trouble

    def answered(self) -> None:
        self.worked, self.failures = True, 0
