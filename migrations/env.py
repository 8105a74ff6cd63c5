"""Alembic inside the application: tables are made here and nowhere else."""

from alembic import context
from flask import current_app

from mailer import models  # noqa: F401 - fills the metadata
from mailer.db import Base, UTCDateTime


def render_item(kind: str, item: object, _context: object) -> str | bool:
    """A migration names the plain column type: it must still run when our classes have moved."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


database = current_app.extensions["migrate"].db


def run_offline() -> None:
    """Print the SQL (`mailer db upgrade --sql`)."""
    url = database.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, target_metadata=Base.metadata, literal_binds=True, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    with database.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            render_item=render_item,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
