"""What a dead run left: rows that it had claimed. Its journal tells those that were never begun from those that went
out; without a journal that can be trusted, all of them are of unknown fate.
"""

import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from mailer.config import settings
from mailer.db import now, transaction
from mailer.delivery import account, claims, journal, ledger
from mailer.delivery.account import OtherRun
from mailer.delivery.journal import Account, Entry, JournalError
from mailer.delivery.outcomes import BACKOFF, Outcome
from mailer.errors import Busy
from mailer.states import DeliveryState

log = logging.getLogger(__name__)

# A sender on another machine is dead when it was silent for so long. It stops by itself long before: what it claimed
# goes stale after seconds, and it can claim nothing without the database.
SILENCE = timedelta(seconds=30)
IN_DOUBT = Outcome(DeliveryState.UNKNOWN, "the sender stopped in mid-run; whether this letter arrived is not known")


def recover(digest_id: int | None) -> None:
    """Account for the rows of every run in this scope. To be called by the holder of the scope's lock.

    Raises Busy if one of them turns out to be alive: its lock was on a connection that the database ended.
    """
    for run in account.runs(digest_id):
        path = journal.journal_path(Path(settings().journal_folder), run.uid)
        if is_alive(run, path):
            raise Busy("another sender is still finishing its letters: let it end, then try again")
        recover_run(run, path, account.claimed_by(run.id, digest_id))


def is_alive(run: OtherRun, path: Path) -> bool:
    if run.host == socket.gethostname() or path.exists():
        with suppress(PermissionError):
            return journal.is_held(path)
    return run.beat_at > now() - SILENCE


def recover_run(run: OtherRun, path: Path, rows: Sequence[int]) -> None:
    found = read_journal(run, path, rows)
    never_begun = [row for row in rows if found.complete and row not in found.entries]
    doubtful = sorted(set(rows).difference(never_begun))
    with transaction() as session:
        claims.give_back(session, run.id, never_begun, now())
        for row in doubtful:
            ledger.settle(session, run.id, row, *verdict(found.entries.get(row, Entry())))
    path.unlink(missing_ok=True)
    claims.end_run(run.id)


def read_journal(run: OtherRun, path: Path, rows: Sequence[int]) -> Account:
    if not rows:
        return Account({}, complete=True)
    try:
        return journal.read(path, run.uid, set(rows), run.journaled)
    except JournalError as error:
        log.warning("%s; it is not trusted, and %d letters are held as unknown", error, len(rows))
        return Account({}, complete=False)


def verdict(entry: Entry) -> tuple[Outcome, datetime, datetime | None]:
    """An entry's outcome, when it was known, and when the letter is tried again."""
    outcome = entry.outcome or IN_DOUBT
    again = now() + BACKOFF[0] if outcome.state is DeliveryState.DEFERRED else None
    return outcome, entry.at or now(), again
