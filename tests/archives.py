"""An archive with many digests, written into the database: sending them would take a test too long."""

import datetime as dt
from datetime import UTC, datetime

from sqlalchemy import update

from mailer.db import transaction
from mailer.digests import snapshot
from mailer.lists import the_list
from mailer.models import Announcement, AnnouncementTranslation, Digest, DigestItem
from mailer.states import AnnouncementType, DigestState

from .installation import Installation

FIRST = datetime(2024, 1, 31, 12, tzinfo=UTC)
FORTNIGHT = dt.timedelta(days=14)
BODY = """It closed on *Thursday*. The [agenda](https://example.org/agenda) was long.

- who owns it
- who made it
"""


def fill(here: Installation, digests: int, announcements: int = 1, *, catching_up: bool = False) -> list[str]:
    """So many digests that went out a fortnight apart, each with so many announcements, in English and sometimes in
    French. Their slugs, the newest first."""
    with here.app.app_context(), transaction() as session:
        made = [past(the_list().id, number, announcements) for number in range(digests)]
        for item in (item for digest in made for item in digest.items):
            item.catches_up = catching_up
        session.add_all(made)
        session.flush()
        for digest in made:
            snapshot.freeze(digest)
        return [digest.slug for digest in reversed(made)]


def change(here: Installation, slug: str, **values: object) -> None:
    """What operators do to a digest that went out."""
    with here.app.app_context(), transaction() as session:
        session.execute(update(Digest).filter_by(slug=slug).values(**values))


def past(list_id: int, number: int, announcements: int) -> Digest:
    at = FIRST + number * FORTNIGHT
    chosen = [announcement(list_id, f"note-{number}-{each}", at.date()) for each in range(announcements)]
    return Digest(
        list_id=list_id,
        slug=f"{at:%Y-%m-%d}-note-{number}",
        state=DigestState.SENT,
        **dict.fromkeys(("created_at", "approved_at", "published_at", "sent_at"), at),
        items=[DigestItem(announcement=each, position=place) for place, each in enumerate(chosen, start=1)],
    )


def announcement(list_id: int, key: str, date: dt.date) -> Announcement:
    number = int(key.rpartition("-")[2])
    english = text("en", "What 160 countries discussed", BODY)
    french = text("fr", "Ce dont 160 pays ont discuté", "Elle s’est achevée *jeudi*.")
    return Announcement(
        list_id=list_id,
        key=key,
        type=list(AnnouncementType)[number % 4],
        date=date,
        deadline=date + dt.timedelta(days=60) if number % 4 == 1 else None,
        topics=[],
        translations=[english, french] if number % 2 == 0 else [english],
    )


def text(code: str, title: str, body: str) -> AnnouncementTranslation:
    url = f"https://example.org/{code}/recap"
    return AnnouncementTranslation(language=code, title=title, summary=title, body=body, url=url)
