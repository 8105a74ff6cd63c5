"""Upgrades of a large list on PostgreSQL, beside whoever reads and writes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from flask_migrate import downgrade, upgrade
from sqlalchemy import text

from mailer.app import folder
from mailer.db import BUSY_SECONDS, db

from ..installation import Installation
from ..servers import postgres

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

PEOPLE = 200_000
FILL = f"""
SET session_replication_role = replica;
INSERT INTO subscriber (id, uid, email, email_key, language, created_at)
    SELECT g, 'u' || g, g || '@example.org', g || '@example.org', 'en', now() FROM generate_series(1, {PEOPLE}) g;
INSERT INTO subscription (id, list_id, subscriber_id, state, frequency, topics, requested_at, confirmed_at)
    SELECT g, 1, g, 'confirmed', 'weekly', '[]', now(), now() FROM generate_series(1, {PEOPLE}) g;
INSERT INTO consent_event (subscription_id, kind, at, source, wording, language)
    SELECT g, 'asked', now(), 'form', 'I agree', 'en' FROM generate_series(1, {PEOPLE}) g;
INSERT INTO digest (id, list_id, slug, state, created_at) VALUES (1, 1, 'd', 'sending', now());
INSERT INTO announcement (id, list_id, key, type, date, topics, created_at)
    VALUES (1, 1, 'a', 'news', now(), '[]', now());
INSERT INTO digest_item (digest_id, announcement_id, position) VALUES (1, 1, 1);
INSERT INTO edition (id, list_id, letter, language, digest_id, subject, content, sha256, created_at)
    VALUES (1, 1, 'digest', 'en', 1, '', '', '0', now());
INSERT INTO delivery (edition_id, digest_id, subscriber_id, state, attempts, created_at, resent)
    SELECT 1, 1, g, 'queued', 0, now(), false FROM generate_series(1, {PEOPLE}) g;
ANALYZE;
"""
STATEMENTS = (
    "SELECT count(*) FROM subscription WHERE subscriber_id = 7",
    "UPDATE subscriber SET language = language WHERE id = 7",
    "UPDATE subscription SET frequency = frequency WHERE id = 7",
    "UPDATE delivery SET attempts = attempts WHERE subscriber_id = 7",
)


class Worker(threading.Thread):
    """Somebody who does the same all the time, and waits for locks as long as the product does."""

    def __init__(self, url: str, statement: str) -> None:
        super().__init__()
        self.url, self.statement = url, statement
        self.over = threading.Event()
        self.done = 0
        self.error: psycopg.Error | None = None

    def run(self) -> None:
        options = f"-c lock_timeout={BUSY_SECONDS}s"
        with psycopg.connect(self.url, autocommit=True, options=options, prepare_threshold=None) as connection:
            while not self.over.wait(0.01):
                try:
                    connection.execute(self.statement)  # type: ignore[arg-type]
                    self.done += 1
                except psycopg.Error as error:
                    self.error = error
                    return


@contextmanager
def others_at_work(url: str) -> Iterator[None]:
    """Raises what any of them met."""
    workers = [Worker(url, statement) for statement in STATEMENTS]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.over.set()
            worker.join()
    assert [(worker.statement, worker.error) for worker in workers if worker.error] == []
    assert all(worker.done for worker in workers)


def plain(database_url: str) -> str:
    return database_url.replace("+psycopg", "")


@pytest.mark.usefixtures("app_context")
def test_a_large_list_is_upgraded_while_others_read_and_write(database_url: str) -> None:
    """Through every revision: nobody waits for longer than the product would before it gives up."""
    db.session.remove()
    downgrade(revision="0001")
    postgres.execute(plain(database_url), FILL)
    revisions = [each.revision for each in ScriptDirectory(str(folder("migrations"))).walk_revisions()]
    with others_at_work(plain(database_url)):
        for revision in reversed(revisions):
            upgrade(revision=revision)
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM subscription")) == PEOPLE
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_subscription_requested_at'::regclass"
        assert connection.scalar(text(valid))


def test_a_migration_that_has_to_wait_lets_the_others_go_on(here: Installation, database_url: str) -> None:
    """It asks for its lock for a moment only, again and again, until whoever holds the table is done."""
    with here.app.app_context():
        downgrade(revision="0003")
    upgrading = threading.Thread(target=here.run, args=("init",))
    with psycopg.connect(plain(database_url)) as reader, psycopg.connect(plain(database_url), autocommit=True) as other:
        reader.execute("SELECT count(*) FROM subscription")
        upgrading.start()
        for _ in range(2):
            wait_until(other, WAITS)
            other.execute("UPDATE subscription SET frequency = frequency")  # which waits with it, and then does not
        assert upgrading.is_alive()
        reader.rollback()
        upgrading.join()
    assert here.json("stats")["confirmed"] == 0


WAITS = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted)"


def wait_until(connection: psycopg.Connection[Any], question: str) -> None:
    while not connection.execute(question).fetchone()[0]:  # type: ignore[arg-type,index]
        time.sleep(0.05)
