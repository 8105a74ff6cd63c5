"""`mailer db …`: Flask-Migrate's group inside our application, and moving to another database."""

import os
from pathlib import Path

import click
from flask import Flask
from flask.cli import ScriptInfo
from flask_migrate import upgrade
from flask_migrate.cli import db as command

from mailer import audit, copying, vitals
from mailer.app import create_app
from mailer.cli.common import opened, progress, say
from mailer.config import PREFIX, Config
from mailer.db import db, explain, revision
from mailer.errors import NotAllowed, NotFound
from mailer.web.health import newest


class Settings(ScriptInfo):
    """Looks for the application anew each time; Flask's own would keep the first one that a process had."""

    def load_app(self) -> Flask:
        return create_app()


command.context_settings = {**command.context_settings, "obj": Settings()}
command.help = "Migrations (Flask-Migrate's commands), and moving to another database."


@command.command("copy")  # type: ignore[untyped-decorator]  # the group has no types
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
def copy(source: str, target: str) -> None:
    """Copy an installation into another, empty database: SRC and DST are addresses as in DATABASE_URL.

    DST is migrated first. Nobody can write to SRC meanwhile, all rows are compared afterwards, and SRC stays as it is.

    \b
    Example:  mailer db copy sqlite:///mailer.db postgresql+psycopg://mailer:secret@127.0.0.1/mailer
    """
    if source == target:
        raise click.UsageError("SRC and DST are the same database")
    # As settings, so that both are read as DATABASE_URL is.
    configs = [Config.load({**os.environ, f"{PREFIX}DATABASE_URL": url}) for url in (source, target)]
    old, new = map(create_app, configs)
    with opened(old):
        refuse_unready()
    with opened(new):
        upgrade()
    with opened(old):
        refuse_at_work()
        source_engine = db.engine
        with opened(new), progress("rows") as move:
            try:
                counts = copying.copy(source_engine, db.engine, lambda table, done: move(done, done, table))
            except Exception as error:
                raise explain(error) or error from None
            audit.note_now("db copy", f"{sum(counts.values())} rows")
    for table, count in counts.items():
        say(f"{table:<25} {count}")
    say("all rows were read back and are the same; now set DATABASE_URL to the new database")


def refuse_unready() -> None:
    """Before anything is made. Raises NotFound for a source that is not there (SQLite would make an empty one),
    NotAllowed for one of another version."""
    if db.engine.dialect.name == "sqlite" and not Path(db.engine.url.database or "").is_file():
        raise NotFound(f"there is no database {db.engine.url.database} to copy from: nothing was copied")
    if revision() != newest():
        raise NotAllowed("the source is of another version than this program: run 'mailer init' with it first")


def refuse_at_work() -> None:
    """Raises NotAllowed for a source that somebody is sending from."""
    if at_work := [sender for sender in vitals.senders() if sender.is_alive]:
        raise NotAllowed(f"a sender is at work on {at_work[0].host}: stop it first, so that nothing is sent twice")
    db.session.remove()
