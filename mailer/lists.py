"""The list of this installation."""

from flask import current_app
from sqlalchemy import select

from mailer import pepper
from mailer.config import settings
from mailer.db import db, insert_new, now, transaction
from mailer.errors import NotFound
from mailer.models import MailingList


def the_list() -> MailingList:
    """Raises NotFound before `mailer init`."""
    found = db.session.scalar(select(MailingList).filter_by(slug=settings().list_slug))
    if found is None:
        raise NotFound(f"there is no list {settings().list_slug!r} yet: run 'mailer init'")
    return found


def list_id() -> int:
    """The list's number, which never changes: looked up once in a process. Raises NotFound before `mailer init`."""
    known: dict[str, int] = current_app.extensions.setdefault("mailer.lists", {})
    slug = settings().list_slug
    if slug not in known:
        known[slug] = the_list().id
    return known[slug]


def make_list() -> bool:
    """Make the list that the settings name, unless it is there; whether it was made. A new name is taken over."""
    config = settings()
    with transaction() as session:
        made = insert_new(session, MailingList, slug=config.list_slug, name=config.list_name, created_at=now())
        the_list().name = config.list_name
        pepper.make(session)
    return made
