"""Letters that one person caused: rendered once per wording, put into the outbox for that person."""

import hashlib
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.config import settings
from mailer.db import insert_new, now
from mailer.delivery import ledger
from mailer.languages import SOURCE, offered
from mailer.letters.message import account_headers, build
from mailer.letters.render import render
from mailer.letters.slots import slot
from mailer.links import links
from mailer.models import Edition, LetterKind, Subscription


def write(session: Session, subscription: Subscription, kind: LetterKind, at: datetime) -> None:
    """Put a letter of this kind for this subscription into the outbox, in the caller's transaction."""
    subscriber = subscription.subscriber
    edition = find_edition(session, subscription.list_id, kind, subscriber.language)
    ledger.enqueue(session, edition, subscriber, at)


def find_edition(session: Session, list_id: int, kind: LetterKind, wanted: str) -> Edition:
    """The stored edition of these words; the same words are stored once."""
    config = settings()
    languages = offered(config.languages) or (SOURCE,)
    language = wanted if wanted in languages else languages[0]
    words = render(
        kind.value,
        language,
        confirm_url=links().page(f"/confirm/{slot('confirm')}", lang=language),
        home_url=links().page("/", lang=language),
    )
    content = build(words, account_headers(words, language, config))
    digest = hashlib.sha256(content).hexdigest()
    same = {"list_id": list_id, "letter": kind, "language": language, "sha256": digest}
    insert_new(session, Edition, **same, subject=words.subject, content=content, created_at=now())
    return session.scalars(select(Edition).filter_by(**same, digest_id=None)).one()
