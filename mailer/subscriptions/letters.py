"""Letters that one person caused: rendered once per wording, put into the outbox for that person."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple

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


@dataclass(frozen=True)
class Letter:
    """A letter that something somebody did may cause. Not `kept`: the database is told of it as of any other, and
    nothing comes of it."""

    subscription: Subscription
    kind: LetterKind
    kept: bool = True

    @property
    def words(self) -> tuple[LetterKind, str]:
        """What it is about, in the person's language if the list speaks it."""
        languages, wanted = offered(settings().languages), self.subscription.subscriber.language
        return self.kind, wanted if wanted in languages else languages[0]


def write(session: Session, letters: Sequence[Letter], at: datetime) -> None:
    """Put letters for people of one list into the outbox, in the caller's transaction."""
    ids = find_editions(session, letters[0].subscription.list_id, {letter.words for letter in letters})
    rows = [ledger.NewDelivery(ids[each.words], each.subscription.subscriber_id, each.kept) for each in letters]
    ledger.enqueue(session, rows, at)


def find_editions(
    session: Session, list_id: int, wanted: Collection[tuple[LetterKind, str]]
) -> Mapping[tuple[LetterKind, str], int]:
    """The ids of the stored editions of these words; the same words are stored once."""
    hashes = {words: made(*words).sha256 for words in wanted}
    same = {"list_id": list_id, "hashes": list(hashes.values())}
    connection = session.connection()

    def stored() -> dict[tuple[LetterKind, str], int]:
        return {(row.letter, row.language): row.id for row in connection.execute(stored_editions(), same)}

    found = stored()
    if missing := [words for words in wanted if words not in found]:
        for kind, language in missing:
            edition = {"list_id": list_id, "letter": kind, "language": language, **made(kind, language)._asdict()}
            insert_new(session, Edition, **edition, created_at=now())
        found = stored()
    return found


@cache
def stored_editions() -> Select[LetterKind, str, int]:
    these = Edition.sha256.in_(bindparam("hashes", expanding=True))
    same = (Edition.list_id == bindparam("list_id"), these, Edition.digest_id.is_(None))
    return select(Edition.letter, Edition.language, Edition.id).where(*same)


def make_all() -> None:
    """Every letter, in every language of the list."""
    for language in offered(settings().languages):
        for kind in LetterKind:
            if kind is not LetterKind.DIGEST:
                made(kind, language)


class Made(NamedTuple):
    """What everybody gets of a letter."""

    subject: str
    content: bytes
    sha256: str


def made(kind: LetterKind, language: str) -> Made:
    """Made once in a process, so that a sign-up takes as long for every state of an address."""
    known: dict[tuple[LetterKind, str], Made]
    known = current_app.extensions.setdefault("mailer.letters", {})
    if (kind, language) not in known:
        words = render(
            kind.value,
            language,
            home_url=links().page("/", lang=language),
            **{f"{name}_url": links().page(f"{path}{slot(name)}", lang=language) for name, path in PAGES.items()},
        )
        content = build(words, account_headers(words, language, settings()))
        known[kind, language] = Made(words.subject, content, hashlib.sha256(content).hexdigest())
    return known[kind, language]
