"""Letters that one person caused: rendered once per wording, put into the outbox for that person."""

import hashlib
from datetime import datetime

from flask import current_app
from sqlalchemy import select
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


def write(session: Session, subscription: Subscription, kind: LetterKind, at: datetime) -> None:
    """Put a letter of this kind for this subscription into the outbox, in the caller's transaction."""
    subscriber = subscription.subscriber
    edition = find_edition(session, subscription.list_id, kind, subscriber.language)
    ledger.enqueue(session, edition, subscriber, at)


def find_edition(session: Session, list_id: int, kind: LetterKind, wanted: str) -> Edition:
    """The stored edition of these words; the same words are stored once."""
    languages = offered(settings().languages)
    language = wanted if wanted in languages else languages[0]
    subject, content, digest = made(kind, language)
    same = {"list_id": list_id, "letter": kind, "language": language, "sha256": digest}
    insert_new(session, Edition, **same, subject=subject, content=content, created_at=now())
    return session.scalars(select(Edition).filter_by(**same, digest_id=None)).one()


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
