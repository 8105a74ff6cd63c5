"""What a database in trouble says is told in one line, with what to do. The errors are PostgreSQL's own."""

import threading
from collections.abc import Callable
from functools import partial

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, exc, text

from mailer.db import STATEMENT_SECONDS, db, explain

from ..installation import Installation

pytestmark = [
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
    pytest.mark.usefixtures("app_context"),
]


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def take_too_long(engine: Engine) -> None:
    run(engine, "SET LOCAL statement_timeout = 10", "SELECT pg_sleep(60)")


def wait_too_long(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE list"))
        run(engine, "SET LOCAL lock_timeout = 10", "LOCK TABLE list")


def pause_too_long(engine: Engine) -> None:
    with engine.begin() as connection, engine.connect() as other:
        me = connection.scalar(text("SELECT pg_backend_pid()"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 1"))
        while other.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE pid = :me"), {"me": me}):
            other.rollback()
        connection.execute(text("SELECT 1"))


def wait_for_each_other(engine: Engine) -> None:
    """The one that PostgreSQL chooses is told; the other goes on."""
    both, wrong = threading.Barrier(2), []

    def lock(first: str, second: str) -> None:
        try:
            with engine.begin() as connection:
                connection.execute(text("SET LOCAL deadlock_timeout = 10"))
                connection.execute(text(f"LOCK TABLE {first}"))
                both.wait()
                connection.execute(text(f"LOCK TABLE {second}"))
        except exc.OperationalError as error:
            wrong.append(error)

    threads = [threading.Thread(target=lock, args=each) for each in (("list", "topic"), ("topic", "list"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    raise wrong[0]


def come_when_it_is_full(engine: Engine) -> None:
    run(engine, "CREATE ROLE few LOGIN CONNECTION LIMIT 0")
    try:
        create_engine(engine.url.set(username="few")).connect()
    finally:
        run(engine, "DROP ROLE few")


def write_to_a_standby(engine: Engine) -> None:
    run(engine, "SET LOCAL transaction_read_only = on", "DELETE FROM audit")


def end_its_connection(engine: Engine) -> None:
    with engine.begin() as connection:
        run(engine, f"SELECT pg_terminate_backend({connection.scalar(text('SELECT pg_backend_pid()'))})")
        connection.execute(text("SELECT 1"))


def use_all_connections(_engine: Engine) -> None:
    small = create_engine(db.engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    try:
        with small.connect():
            small.connect()
    finally:
        small.dispose()


def say(error: type[psycopg.Error], words: str, _engine: Engine) -> None:
    """What a test can't bring about in moments."""
    raise exc.OperationalError("", {}, error(words))


REFUSED = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: FATAL:  '
TROUBLE: dict[str, tuple[Callable[[Engine], None], str]] = {
    "too slow": (take_too_long, "statement timeout): it is busy or slow"),
    "locked": (wait_too_long, "lock timeout): another process holds it"),
    "paused": (pause_too_long, "the command was paused for too long"),
    "deadlock": (wait_for_each_other, "deadlock detected): two processes waited for each other"),
    "full of clients": (come_when_it_is_full, "raise the limit of connections"),
    "a standby": (write_to_a_standby, "DATABASE_URL has to name the primary"),
    "ended": (end_its_connection, "it restarts, or was stopped; try again in a moment"),
    "a small pool": (use_all_connections, "all connections of this process are in use"),
    "no slots": (
        partial(say, psycopg.OperationalError, f"{REFUSED}sorry, too many clients already"),
        "max_connections",
    ),
    "starts": (
        partial(say, psycopg.OperationalError, f"{REFUSED}the database system is starting up"),
        "it starts; try",
    ),
    "stops": (partial(say, psycopg.OperationalError, f"{REFUSED}the database system is shutting down"), "it restarts"),
    "disk": (
        partial(say, psycopg.errors.DiskFull, "could not extend file: No space left on device"),
        "free some space",
    ),
}


@pytest.mark.parametrize("what", TROUBLE)
def test_it_is_told_in_one_line_what_can_be_done(what: str) -> None:
    cause, words = TROUBLE[what]
    with pytest.raises((exc.DBAPIError, exc.TimeoutError)) as caught:
        cause(db.engine)
    told = str(explain(caught.value))
    # The server's last word is lost where our next one crosses it.
    assert words in told or (what == "paused" and "server closed the connection" in told)
    assert len(told.splitlines()) == 1


def test_only_visitors_statements_are_limited(here: Installation) -> None:
    """A sender in the same process enlists a million people in one statement."""
    show = text("SHOW statement_timeout")
    assert db.session.scalar(show) == "0"
    db.session.rollback()
    with here.app.test_request_context():
        assert db.session.scalar(show) == f"{STATEMENT_SECONDS}s"
        db.session.rollback()
    assert db.session.scalar(show) == "0"


@pytest.mark.parametrize("table", ["subscriber", "subscription", "delivery", "consent_event"])
def test_numbers_that_lag_behind_lose_nothing_in_silence(here: Installation, table: str) -> None:
    """Rows that were brought in with their numbers, by a restore of data alone for one, leave PostgreSQL's counter
    behind: what can't be written for it is not told to be saved (D-114)."""
    here.subscribed("ada@example.org", "bob@example.org")
    run(db.engine, f"SELECT setval('{table}_id_seq', 1, false)")
    assert here.site.post("/subscribe", data={"email": "eva@example.org"}).status_code in (500, 503)
    assert here.json("stats")["pending"] == 0
