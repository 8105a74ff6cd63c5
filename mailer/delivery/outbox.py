"""Letters that belong to no digest, and the thread that sends them as soon as they are written."""

import logging
import threading
from collections.abc import Callable

from blinker import Signal

log = logging.getLogger(__name__)

# Sent after the commit that put a letter into the outbox. Nobody need listen: the letter is in the database.
filled = Signal("letters were put into the outbox")
# Sent with `seconds`, how long each of some letters has waited from being written to being accepted.
delivered = Signal("letters of the outbox were accepted")

GATHER_SECONDS = 0.25  # after each piece of work: letters that come in the meantime go out together
POLL_SECONDS = 1.0  # letters that another process wrote, and deferred ones that have become due


class Sender(threading.Thread):
    """Calls `work` whenever the outbox is filled, and every second. After `end` the letters on the wire finish; `join`
    waits for that, as long as a mail server may take for its last word."""

    def __init__(self, work: Callable[[threading.Event], None]) -> None:
        super().__init__(name="sender", daemon=True)
        self.work = work
        self.wake = threading.Event()
        self.ending = threading.Event()
        filled.connect(self.on_filled)

    def on_filled(self, _sender: object) -> None:
        self.wake.set()

    def run(self) -> None:
        while not self.ending.is_set():
            self.wake.wait(POLL_SECONDS)
            self.wake.clear()
            if self.ending.is_set():
                return
            try:
                self.work(self.ending)
            except Exception:  # a sender that died silently would leave every letter lying
                log.exception("the sender met an error and goes on")
            self.ending.wait(GATHER_SECONDS)

    def end(self) -> None:
        self.ending.set()
        self.wake.set()
        filled.disconnect(self.on_filled)
