"""Evidence of consent: the words a person was shown and where the answer came from (GDPR 7(1))."""

from dataclasses import dataclass

from flask_babel import get_locale, gettext
from sqlalchemy.orm import Session

from mailer.config import settings
from mailer.models import ConsentEvent, Subscription
from mailer.states import ConsentKind


@dataclass(frozen=True)
class Evidence:
    """Where a person's answer came from: the page's address or the operator's basis, and the words shown."""

    source: str
    wording: str
    language: str
    ip: str | None = None
    user_agent: str | None = None


def wording() -> str:
    """What somebody agrees to by signing up, in the language in force."""
    text: str = gettext(
        "I want to receive the announcements of %(list)s by e-mail. "
        "I can leave at any time with the link in every mail.",
        list=settings().list_name,
    )
    return text


def shown(source: str, *, ip: str | None = None, user_agent: str | None = None) -> Evidence:
    """Evidence with the wording of the page that is being answered."""
    return Evidence(source[:500], wording(), str(get_locale()), ip, user_agent[:200] if user_agent else None)


def record(session: Session, subscription: Subscription, kind: ConsentKind, evidence: Evidence) -> None:
    session.add(
        ConsentEvent(
            subscription_id=subscription.id,
            kind=kind,
            source=evidence.source,
            wording=evidence.wording,
            language=evidence.language,
            ip=evidence.ip,
            user_agent=evidence.user_agent,
        )
    )
