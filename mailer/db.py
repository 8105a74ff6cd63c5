"""The database, SQLite or PostgreSQL: the declarative base, write transactions, locks that die with their holder."""

import fcntl
import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from flask import current_app, has_request_context
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    Boolean,
    Connection,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    Table,
    Update,
    bindparam,
    event,
    exc,
    func,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator

from mailer.errors import Busy, DatabaseError

BUSY_SECONDS = 10  # how long a write waits for another one (SQLite has a single writer)
# On PostgreSQL: how long a statement may take for a visitor, who has gone by then; and how long a transaction may wait
# for its program, that of an operator who reads a report for one. What it holds is then free for others.
STATEMENT_SECONDS = 15
IDLE_SECONDS = 600
HURRY_SECONDS = 5  # the same, while other senders wait for it; less than they have patience for
# Who is gone without a word, behind a cut line for one, is found out by the other: a server by us, and we by the
# server, which then frees our locks for others.
KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
SILENCE = {"tcp_user_timeout": 60_000}  # milliseconds in which what was said is not even acknowledged


KEPT = "kept"  # of a row that is told: whether it is to be inserted, too
KEEP = bindparam(KEPT, type_=Boolean)
NOBODY = 0  # no row has this number


class Base(DeclarativeBase):
    """Models inherit this class, not `db.Model`, which mypy can't see through; the tables are the same."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# Objects stay readable after a commit: verbs commit, then hand their rows to pages and printers.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC on every database (SQLite knows no time zones and stores text)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def engine_options(database_url: str) -> dict[str, Any]:
    """An error doesn't name the values of its statement, which may be addresses. PostgreSQL connections outlive a
    restart of the server and never wait for ever for a lock."""
    discreet = {"hide_parameters": True}
    if not database_url.startswith("postgresql"):
        return discreet
    limits = {
        "lock_timeout": f"{BUSY_SECONDS}s",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
        **{f"tcp_{name}": value for name, value in KEEPALIVE.items()},
        **SILENCE,
    }
    options = " ".join(f"-c {name}={value}" for name, value in limits.items())
    return {
        **discreet,
        "pool_pre_ping": True,
        "connect_args": {"connect_timeout": BUSY_SECONDS, "options": options, **KEEPALIVE, **SILENCE},
    }


def now() -> datetime:
    return datetime.now(UTC)


def clock(session: Session) -> datetime:
    """Now, by the one clock that all processes have in common, the database's: those of two machines may differ."""
    if session.get_bind().dialect.name == "sqlite":
        return now()
    found: datetime = session.scalars(select(func.clock_timestamp())).one()
    return found


@event.listens_for(Engine, "connect")
def prepare_sqlite(connection: Any, _record: ConnectionPoolEntry) -> None:
    """WAL lets readers go on beside the writer, FULL makes a commit outlive a power cut; we say BEGIN ourselves, see
    `begin_sqlite`."""
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.isolation_level = None
    keep_private(connection)
    for pragma in (
        f"busy_timeout={BUSY_SECONDS * 1000}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # what is deleted is overwritten: somebody who is erased is in no free page
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def keep_private(connection: sqlite3.Connection) -> None:
    """A database holds people's addresses: only its owner may read it. SQLite gives its side files the same mode."""
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    if path and Path(path).stat().st_size == 0:
        Path(path).chmod(0o600)


@event.listens_for(Engine, "begin")
def begin_sqlite(connection: Connection) -> None:
    """A transaction that will write takes SQLite's write lock at its start: one that reads first and
    then wants to write fails at once, without waiting, when another writer came in between."""
    if connection.dialect.name == "sqlite":
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@event.listens_for(Engine, "begin")
def take_time(connection: Connection) -> None:
    """Only visitors' statements are limited: senders and commands, which may be threads of the same process, take as
    long as they need."""
    in_transaction = connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT"
    if connection.dialect.name == "postgresql" and in_transaction and not has_request_context():
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


@contextmanager
def transaction() -> Iterator[Session]:
    """One write transaction: committed at the end, rolled back on any error.

    Raises DatabaseError when the database is locked, full or gone.
    """
    session: Session = db.session()
    with turn_to_write():
        try:
            leave_reading(session)
            session.connection(execution_options={"writes": True})
            yield session
            session.commit()
        except BaseException as error:
            session.rollback()
            known = explain(error) if isinstance(error, Exception) else None
            if known:
                raise known from error
            raise


@contextmanager
def turn_to_write() -> Iterator[None]:
    """SQLite has one writer. Threads of one process queue up for it: SQLite itself would let them sleep and try again,
    ever more seldom, while others overtake them."""
    lock: threading.RLock | None = current_app.extensions.get("mailer.writer")
    if lock is None:
        yield
        return
    if not lock.acquire(timeout=BUSY_SECONDS):
        raise DatabaseError("the database is locked by another thread: try again in a moment")
    try:
        yield
    finally:
        lock.release()


def leave_reading(session: Session) -> None:
    """End what was only read: a write begins its own transaction. A connection that died meanwhile is let go."""
    try:
        session.rollback()
    except exc.DBAPIError:
        session.invalidate()


def take_turns(session: Session, name: str) -> None:
    """Transactions that call this pass one after another, until they end. On SQLite those that write do so anyway."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_number(name)})


def hurry(session: Session) -> None:
    """Others wait for this transaction: one whose program falls silent, cut off with its machine, is undone soon."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{HURRY_SECONDS}s'")


def insert_new(session: Session, model: type[Base], **values: Any) -> bool:
    """Insert a row unless one with the same unique key is there; whether it was inserted. Safe in a race."""
    connection = session.connection()
    statement = insert_or_skip(model, connection.dialect.name)
    # Unasked, SQLAlchemy keeps no count of what an INSERT did on PostgreSQL.
    return connection.execute(statement, values, execution_options={"preserve_rowcount": True}).rowcount > 0


def insert_kept(session: Session, target: type[Base] | Table, rows: Sequence[Mapping[str, Any]], *unique: str) -> None:
    """Insert those of the rows whose KEPT is true, and that are not there yet by the columns `unique`, if such are
    named. The database is told of each and decides itself, so that nobody can tell from an answer's time whether a row
    came of it."""
    connection = session.connection()
    names = tuple(name for name in rows[0] if name != KEPT)
    connection.execute(insert_if_kept(target, names, unique, connection.dialect.name), rows)


@cache
def insert_if_kept(target: type[Base] | Table, names: tuple[str, ...], unique: tuple[str, ...], dialect: str) -> Any:
    types = {column.key: column.type for column in inspect(target).columns}
    row = select(*(bindparam(name, type_=types[name]) for name in names)).where(KEEP)
    new = insert_into(target, dialect).from_select(names, row, include_defaults=False)
    return new.on_conflict_do_nothing(index_elements=unique) if unique else new


def write_whole(session: Session, model: type[Base], rows: Sequence[Any]) -> None:
    """Write all of these rows of a model, changed or not, and let go of them. The session's own way takes several times
    as long, and tells those that have changed from others."""
    names = [column.key for column in model.__table__.columns if not column.primary_key]
    values = [{"row": row.id, **{name: getattr(row, name) for name in names}} for row in rows]
    session.connection().execute(whole_row(model), values)
    for row in rows:
        if row in session:
            session.expunge(row)


@cache
def whole_row(model: type[Base]) -> Update:
    return update(model).where(model.__table__.c.id == bindparam("row"))


@cache
def insert_or_skip(model: type[Base], dialect: str) -> Any:
    return insert_into(model, dialect).on_conflict_do_nothing()


def insert_into(target: type[Base] | Table, dialect: str) -> Any:
    """An INSERT that can say what to do on conflict, in the words of the database at hand."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    return insert(target)


def revision() -> str | None:
    """The migration that the database is at."""
    found: str | None = db.session.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def scrub() -> bool:
    """Let nothing of what was deleted stay in SQLite's write-ahead log; whether it could be emptied (a reader may hold
    it up, then the next call does it). PostgreSQL recycles its files by itself."""
    if db.engine.dialect.name != "sqlite":
        return True
    with closing(db.engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA busy_timeout=500")  # writers wait meanwhile
        try:
            return not cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error:
            return False
        finally:
            cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


# What a database says when it can't be used, and what a person can do about it. The first that fits counts.
ADVICE = {
    "statement timeout": "it is busy or slow; try again, and see what its other statements wait for",
    "deadlock": "two processes waited for each other; try again",
    "idle-in-transaction": "the command was paused for too long; run it again, with its output in a file",
    "too many clients": "raise its max_connections, or run fewer processes and threads",
    "too many connections": "raise the limit of connections, or run fewer processes and threads",
    "connection slots": "raise its max_connections, or run fewer processes and threads",
    "queuepool": "all connections of this process are in use; try again in a moment",
    "starting up": "it starts; try again in a moment",
    "shutting down": "it restarts, or was stopped; try again in a moment",
    "recovery mode": "it starts after a crash; try again in a moment",
    "terminating connection": "it restarts, or was stopped; try again in a moment",
    "server closed": "it restarts, or was stopped; try again in a moment",
    "read-only transaction": "this server takes no writes (a standby?); DATABASE_URL has to name the primary",
    "locked": "another process holds it; try again in a moment",
    "lock timeout": "another process holds it; try again in a moment",
    "full": "free some space and try again; nothing that was accepted is lost",
    "no space left": "free some space and try again; nothing that was accepted is lost",
    "disk i/o": "check the disk and its free space; nothing that was accepted is lost",
    "no such table": "run 'mailer init' to create or upgrade it",
    "no such column": "run 'mailer init' to upgrade it",
    "relation": "run 'mailer init' to create or upgrade it",
    "column": "run 'mailer init' to upgrade it",
    "does not exist": "create it, then run 'mailer init'",
    "unable to open": "check that the folder exists and may be written to",
    "not a database": "check DATABASE_URL",
    "readonly": "check who may write to it",
    "authentication": "check DATABASE_URL",
}
# Errors of drivers that are no OperationalError and yet no bug of ours.
UNUSABLE = (
    "DatabaseError",
    "UndefinedTable",
    "UndefinedColumn",
    "ReadOnlySqlTransaction",
    "IdleInTransactionSessionTimeout",
)


def explain(error: Exception) -> DatabaseError | None:
    """What a database's error means to the person who meets it, in one line; None if it is a bug of ours."""
    if not isinstance(error, exc.DBAPIError | exc.TimeoutError):
        return None
    original = getattr(error, "orig", None) or error
    unusable = isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError)
    said = str(original).strip().splitlines()[0]
    if isinstance(error, exc.IntegrityError) and "unique" in said.lower():
        return DatabaseError("another process did the same at the same moment; look, then try again")
    if not unusable and type(original).__name__ not in UNUSABLE:
        return None
    hint = next((words for mark, words in ADVICE.items() if mark in said.lower()), "is it running?")
    return DatabaseError(f"the database can't be used ({said}): {hint}")


@contextmanager
def exclusive(name: str) -> Iterator[Callable[[], bool]]:
    """Hold the lock `name` among all processes of this installation; it is free again when its holder dies.

    Gives a function that says whether it is still held: on PostgreSQL it goes with its connection. Raises Busy if
    another process has it.
    """
    holder = hold_advisory_lock if db.engine.dialect.name == "postgresql" else hold_file_lock
    with holder(name) as still_held:
        yield still_held


@contextmanager
def hold_file_lock(name: str) -> Iterator[Callable[[], bool]]:
    path = Path(f"{db.engine.url.database}-{name}.lock")
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy(name) from None
        yield lambda: True


def lock_number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


@contextmanager
def hold_advisory_lock(name: str) -> Iterator[Callable[[], bool]]:
    key = lock_number(name)
    with db.engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
            raise busy(name)

        def still_held() -> bool:
            try:
                return bool(connection.scalar(text("SELECT true")))
            except exc.SQLAlchemyError:
                return False

        try:
            yield still_held
        finally:
            with suppress(exc.SQLAlchemyError):  # gone with its connection
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})


def busy(name: str) -> Busy:
    return Busy(f"another process is at work on {name.replace('-', ' ')}: let it finish, then try again")
