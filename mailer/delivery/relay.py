"""What our mail server can do, as far as the last session told: a form has no time to ask it."""

from contextlib import suppress
from datetime import timedelta

import flask_mail
from flask import current_app
from sqlalchemy import exc, select, update

from mailer.db import db, insert_new, now, transaction
from mailer.errors import DatabaseError
from mailer.models import MailServer

TOLD_AGAIN = timedelta(days=1)


def name() -> str:
    mail: flask_mail.Mail = current_app.extensions["mail"]
    return f"{mail.server}:{mail.port}"


def takes_international() -> bool:
    """Whether it takes mail for addresses with more than ASCII before the @ (SMTPUTF8, RFC 6531); not if it never
    said so."""
    return bool(db.session.scalar(select(MailServer.international).filter_by(name=name())))


def note(*, international: bool) -> None:
    """Write down what a session was offered. Costs one look while it stays the same; a database in trouble is no reason
    to call letters lost that have gone out."""
    with suppress(DatabaseError, exc.SQLAlchemyError):
        known = db.session.execute(select(MailServer.international, MailServer.seen_at).filter_by(name=name())).first()
        db.session.rollback()
        if known is None or known.international != international or now() >= known.seen_at + TOLD_AGAIN:
            write(international)


def write(international: bool) -> None:
    with transaction() as session:
        insert_new(session, MailServer, name=name(), international=international, seen_at=now())
        here = update(MailServer).where(MailServer.name == name())
        session.execute(here.values(international=international, seen_at=now()))
