"""Alembic inside the application: tables are made here and nowhere else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from flask import current_app
from sqlalchemy import Connection, exc

from mailer import models  # noqa: F401 - fills the metadata
from mailer.db import Base, UTCDateTime


def render_item(kind: str, item: object, _context: object) -> str | bool:
    """A migration names the plain column type: it must still run when our classes have moved."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


# Whoever comes after a migration that waits for a table waits with it. So it waits for a moment only, lets the others
# go on for as long, and tries again.
LOCK_SECONDS = 2
PATIENCE = 600.0
database = current_app.extensions["migrate"].db


def run_offline() -> None:
    """Print the SQL (`mailer db upgrade --sql`)."""
    url = database.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, target_metadata=Base.metadata, literal_binds=True, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Again and again while others hold what a migration has to change: what was committed is not done twice."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with database.engine.connect() as connection, tables_made_anew(connection), patient(connection):
                migrate(connection)
            return
        except exc.OperationalError as error:
            if not is_lock_timeout(error) or time.monotonic() > deadline:
                raise
        time.sleep(LOCK_SECONDS)


def migrate(connection: Connection) -> None:
    """On PostgreSQL each migration commits by itself, so that what one has locked is free while the next one works."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_item,
        transaction_per_migration=connection.dialect.name == "postgresql",
    )
    with context.begin_transaction():
        context.run_migrations()
        check_references(connection)


@contextmanager
def patient(connection: Connection) -> Iterator[None]:
    """A connection that waits for locks for a moment only, and works for as long as it takes."""
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    connection.exec_driver_sql("SET statement_timeout = 0")
    connection.commit()
    try:
        yield
    finally:
        connection.invalidate()  # nobody else goes on with these settings


def is_lock_timeout(error: exc.OperationalError) -> bool:
    return type(error.orig).__name__ == "LockNotAvailable"


@contextmanager
def tables_made_anew(connection: Connection) -> Iterator[None]:
    """To alter a table, SQLite makes another and drops the first, which it refuses while other rows refer to it."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF").close()
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON").close()


def check_references(connection: Connection) -> None:
    """What was not looked at row by row is looked at in the end; a fault undoes the migration."""
    if connection.dialect.name == "sqlite" and (
        broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    ):
        raise RuntimeError(f"row {broken[1]} of {broken[0]} refers to no row of {broken[2]}")


if context.is_offline_mode():
    run_offline()
else:
    run_online()
