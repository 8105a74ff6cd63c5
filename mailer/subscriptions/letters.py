"""Letters that one person caused: rendered once per wording, put into the outbox for that person."""

import hashlib
from datetime import datetime
from functools import cache

from flask import current_app
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from mailer.config import settings
from mailer.db import insert_new, now
from mailer.delivery import ledger
from mailer.languages import offered
from mailer.letters.message import account_headers, build
from mailer.letters.render import render
from mailer.letters.slots import slot
from mailer.links import links
from mailer.models import Edition, Subscription
from mailer.states import LetterKind

# Pages that a letter can lead to, by the slot of the token that opens each.
PAGES = {"confirm": "/confirm/", "not_me": "/not-me/", "manage": "/manage/", "restore": "/restore/"}


def write(
    session: Session, subscription: Subscription, kind: LetterKind, at: datetime, language: str | None = None
) -> None:
    """Put a letter of this kind for this subscription into the outbox, in the caller's transaction; in the person's
    language unless told."""
    wanted = language or subscription.subscriber.language
    edition_id = find_edition(session, subscription.list_id, kind, wanted)
    ledger.enqueue(session, edition_id, subscription.subscriber_id, at)


def find_edition(session: Session, list_id: int, kind: LetterKind, wanted: str) -> int:
    """The id of the stored edition of these words; the same words are stored once."""
    languages = offered(settings().languages)
    language = wanted if wanted in languages else languages[0]
    subject, content, digest = made(kind, language)
    same = {"list_id": list_id, "letter": kind, "language": language, "sha256": digest}
    connection = session.connection()
    found: int | None = connection.scalar(stored_edition(), same)
    if found is None:
        insert_new(session, Edition, **same, subject=subject, content=content, created_at=now())
        found = connection.scalars(stored_edition(), same).one()
    return found


@cache
def stored_edition() -> Select[int]:
    columns = (Edition.list_id, Edition.letter, Edition.language, Edition.sha256)
    same = [column == bindparam(column.key) for column in columns]
    return select(Edition.id).where(*same, Edition.digest_id.is_(None))


def made(kind: LetterKind, language: str) -> tuple[str, bytes, str]:
    """Subject, bytes and their hash; made once, so that a sign-up takes as long for every state of an address."""
    known: dict[tuple[LetterKind, str], tuple[str, bytes, str]]
    known = current_app.extensions.setdefault("mailer.letters", {})
    if (kind, language) not in known:
        words = render(
            kind.value,
            language,
            home_url=links().page("/", lang=language),
            **{f"{name}_url": links().page(f"{path}{slot(name)}", lang=language) for name, path in PAGES.items()},
        )
        content = build(words, account_headers(words, language, settings()))
        known[kind, language] = words.subject, content, hashlib.sha256(content).hexdigest()
    return known[kind, language]
