"""Who left or was erased, written down beside the database as well: a backup that is restored has forgotten it, and
nobody who left may be written to again.

    <time> <left | erased | resumed> <uid>

A line is appended after the commit it belongs to. It names nobody: a uid means something only with the database.
`restoring` reads them.
"""

import logging
import os
import socket
from enum import StrEnum
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.orm import Session

from mailer.config import settings
from mailer.db import now

log = logging.getLogger(__name__)

SUFFIX = ".departures"  # of a file for each host
LINES = "departures"  # of a transaction, until it is committed


class Departure(StrEnum):
    LEFT = "left"
    ERASED = "erased"
    RESUMED = "resumed"  # it was taken back


def note(session: Session, uid: str, what: Departure) -> None:
    """To be written down once the transaction is committed."""
    session.info.setdefault(LINES, []).append(f"{now().isoformat()} {what} {uid}\n")


@event.listens_for(Session, "after_commit")
def write_down(session: Session) -> None:
    if not (lines := session.info.pop(LINES, [])):
        return
    path = Path(settings().journal_folder) / f"{socket.gethostname()}{SUFFIX}"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, "".join(lines).encode())
        finally:
            os.close(file)
    except OSError as error:  # they have left all the same
        log.warning("%s can't be written (%s): a backup restored later would not know who left", path, error.strerror)


@event.listens_for(Session, "after_rollback")
def take_back(session: Session) -> None:
    session.info.pop(LINES, None)
