"""What a dead run left: rows that it had claimed. Its journal tells those that were never begun from those that went
out; without a journal that can be trusted, all of them are of unknown fate.
"""

import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum, auto
from pathlib import Path

from mailer.config import settings
from mailer.db import hurry, now, take_turns, transaction
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
# So long its letters wait for whoever can read its journal: those on the wire are few, those that it had claimed many.
PATIENCE = timedelta(minutes=10)
IN_DOUBT = Outcome(DeliveryState.UNKNOWN, "the sender stopped in mid-run; whether this letter arrived is not known")


def recover(digest_id: int | None, seat: int | None = None) -> bool:
    """Account for the rows of every run in this scope that is dead; whether there was one. To be called by the holder
    of a seat's lock.

    Raises Busy if one in this seat (in any if none is given) turns out to be alive: its lock was on a connection that
    the database ended. Or, where none is given, if another machine still has to account for its letters.
    """
    found = False
    for run in account.runs(digest_id):
        fate, path = fate_of(run, Path(settings().journal_folder))
        if fate is Fate.DEAD:
            recover_run(run, path, digest_id)
            found = True
        elif fate is Fate.ALIVE and seat in (None, run.seat):
            raise Busy("another sender is still finishing its letters: let it end, then try again")
        elif fate is Fate.AWAY and seat is None:
            raise Busy(f"what the sender on {run.host} had begun is known there only: start it, or try again later")
    return found


class Fate(Enum):
    ALIVE = auto()
    DEAD = auto()
    AWAY = auto()  # dead, and its journal is on another machine that may come back


def fate_of(run: OtherRun, folder: Path) -> tuple[Fate, Path]:
    """And where its journal is, if it is here."""
    path = journal.journal_path(folder, run.uid)
    is_ours = path.exists() or is_from(run, folder)
    if is_alive(run, path, is_ours=is_ours):
        return Fate.ALIVE, path
    return Fate.DEAD if is_ours or run.silent > PATIENCE else Fate.AWAY, path


def is_from(run: OtherRun, folder: Path) -> bool:
    """Whether its journal was in this folder, even if it is there no more. Those of older versions did not say."""
    return run.folder == journal.identity(folder) if run.folder else run.host == socket.gethostname()


def is_alive(run: OtherRun, path: Path, *, is_ours: bool) -> bool:
    if is_ours:
        with suppress(PermissionError):
            return journal.is_held(path)
    return run.silent < SILENCE


def recover_run(run: OtherRun, path: Path, digest_id: int | None) -> None:
    with transaction() as session:
        hurry(session)
        take_turns(session, "recovering")  # another seat's holder may have found it, too
        rows = account.claimed_by(session, run.id, digest_id)
        found = read_journal(run, path, rows)
        never_begun = [row for row in rows if found.complete and row not in found.entries]
        doubtful = sorted(set(rows).difference(never_begun))
        claims.give_back(session, run.id, never_begun, now())
        verdicts = {row: verdict(found.entries.get(row, Entry())) for row in doubtful}
        for row, (outcome, at, again) in verdicts.items():
            ledger.settle(session, run.id, row, outcome, at, again)
    if rows:
        unknown = sum(outcome is IN_DOUBT for outcome, *_ in verdicts.values())
        log.warning(
            "a sender on %s died: of %d letters that it had claimed %d are queued again, of %d nobody knows the fate",
            *(run.host, len(rows), len(never_begun), unknown),
        )
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
