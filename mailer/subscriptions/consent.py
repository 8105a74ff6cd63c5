"""Evidence of consent: the words a person was shown and where the answer came from (GDPR 7(1)).

Wordings are kept once per version, and never changed: neither they nor the events that refer to them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import current_app, render_template
from flask_babel import get_locale, gettext
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.config import settings
from mailer.db import KEPT, db, insert_kept, insert_new, now
from mailer.errors import NotFound
from mailer.models import ConsentEvent, Subscription, Wording
from mailer.states import ConsentKind, WordingKind
from mailer.subscriptions import departures
from mailer.subscriptions.departures import Departure

# What a person can say yes to. Whoever leaves or changes something agrees to no wording.
AGREEING = (ConsentKind.ASKED, ConsentKind.CONFIRMED)
# What a backup that is restored must not forget.
DEPARTURES = {
    ConsentKind.UNSUBSCRIBED: Departure.LEFT,
    ConsentKind.MOVED: Departure.LEFT,
    ConsentKind.NOT_ME: Departure.LEFT,
    ConsentKind.RESUMED: Departure.RESUMED,
}
END_OF_BLOCK = re.compile(r"</(?:h\d|p|li|dt|dd|td|th)>")


@dataclass(frozen=True)
class Evidence:
    """Where a person's answer came from: the page's address or what the operator did, and the words shown.
    `versions`: what is known already of where they are stored."""

    source: str
    wording: str
    language: str
    ip: str | None = None
    user_agent: str | None = None
    notice: str = ""
    versions: Mapping[WordingKind, int] = field(default_factory=dict)

    @property
    def texts(self) -> dict[WordingKind, str]:
        texts = {WordingKind.SIGN_UP: self.wording, WordingKind.PRIVACY_NOTICE: self.notice}
        return {kind: text for kind, text in texts.items() if text}


def wording() -> str:
    """What somebody agrees to by signing up, in the language in force."""
    text: str = gettext(
        "I want to receive the announcements of %(list)s by e-mail. "
        "I can leave at any time with the link in every mail.",
        list=settings().list_name,
    )
    return text


def notice() -> str:
    """The words of the privacy notice, in the language in force; its markup may change without a new version."""
    known: dict[str, str] = current_app.extensions.setdefault("mailer.notice", {})
    language = str(get_locale())
    if language not in known:
        blocks = END_OF_BLOCK.split(render_template("parts/privacy.html", config=settings()))
        known[language] = "\n\n".join(filter(None, (Markup(block).striptags() for block in blocks)))  # noqa: S704
    return known[language]


def shown(source: str, *, ip: str | None = None, user_agent: str | None = None) -> Evidence:
    """Evidence with the wording of the page that is being answered."""
    new = Evidence(source[:500], wording(), str(get_locale()), ip, user_agent[:200] if user_agent else None, notice())
    return replace(new, versions=kept_versions(new))


def kept_versions(evidence: Evidence) -> Mapping[WordingKind, int]:
    """The stored versions of its texts, if they were stored before. Looked up once in a process, and never in a
    transaction that writes, whose own rows may yet be undone."""
    known: dict[tuple[str, ...], Mapping[WordingKind, int]] = current_app.extensions.setdefault("mailer.wordings", {})
    key = (evidence.language, evidence.wording, evidence.notice)
    if key not in known:
        found = look_up(db.session(), evidence.language, hashes_of(evidence.texts))
        if len(found) < len(evidence.texts):
            return {}
        known[key] = found
    return known[key]


@dataclass(frozen=True)
class Answer:
    """What somebody said, and where. `topics`: those chosen at this moment, if they are known already. Not `kept`: the
    database is told of it, and nothing comes of it."""

    subscription: Subscription
    kind: ConsentKind
    evidence: Evidence
    topics: Sequence[str] | None = None
    kept: bool = True


def record(session: Session, subscription: Subscription, kind: ConsentKind, evidence: Evidence) -> None:
    """Write an event down, with what is chosen at this moment, in the caller's transaction."""
    record_all(session, [Answer(subscription, kind, evidence)], now())


def record_all(session: Session, answers: Sequence[Answer], at: datetime) -> None:
    insert_kept(session, ConsentEvent, [event(session, answer, at) for answer in answers])
    for answer in answers:
        if answer.kind in DEPARTURES:
            departures.note(session, answer.subscription.subscriber.uid, DEPARTURES[answer.kind])


def event(session: Session, answer: Answer, at: datetime) -> dict[str, Any]:
    subscription, evidence, topics = answer.subscription, answer.evidence, answer.topics
    ids = (evidence.versions or versions(session, evidence)) if answer.kind in AGREEING else {}
    return {
        "subscription_id": subscription.id,
        "kind": answer.kind,
        "at": at,
        "source": evidence.source,
        "language": evidence.language,
        "wording_id": ids.get(WordingKind.SIGN_UP),
        "notice_id": ids.get(WordingKind.PRIVACY_NOTICE),
        "frequency": subscription.frequency,
        "topics": list(subscription.topics if topics is None else topics),
        "ip": evidence.ip,
        "user_agent": evidence.user_agent,
        KEPT: answer.kept,
    }


def versions(session: Session, evidence: Evidence) -> Mapping[WordingKind, int]:
    """The stored versions of its texts; one that is new is stored."""
    hashes = hashes_of(evidence.texts)
    found = look_up(session, evidence.language, hashes)
    for kind in [kind for kind in hashes if kind not in found]:
        values = {"kind": kind, "language": evidence.language, "sha256": hashes[kind], "text": evidence.texts[kind]}
        insert_new(session, Wording, **values, first_used_at=now())
    return found if len(found) == len(hashes) else look_up(session, evidence.language, hashes)


def hashes_of(texts: Mapping[WordingKind, str]) -> dict[WordingKind, str]:
    return {kind: sha256(text.encode()).hexdigest() for kind, text in texts.items()}


def look_up(session: Session, language: str, hashes: dict[WordingKind, str]) -> dict[WordingKind, int]:
    query = select(Wording.kind, Wording.id).where(Wording.language == language)
    rows = session.execute(query.where(Wording.sha256.in_(hashes.values())))
    return {kind: row_id for kind, row_id in rows if kind in hashes}


def every_wording() -> Sequence[Wording]:
    """Every version that anybody ever answered, the oldest first."""
    return db.session.scalars(select(Wording).order_by(Wording.id)).all()


def wording_record(version: Wording) -> dict[str, Any]:
    return {
        "id": version.id,
        "kind": version.kind,
        "language": version.language,
        "first_used_at": version.first_used_at.isoformat(timespec="seconds"),
        "sha256": version.sha256,
        "text": version.text,
    }


def find_wording(wording_id: int) -> Wording:
    """Raises NotFound."""
    found = db.session.get(Wording, wording_id)
    if found is None:
        raise NotFound(f"there is no wording {wording_id}: 'mailer wording list' names them")
    return found
