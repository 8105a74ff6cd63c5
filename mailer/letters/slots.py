"""The few words of a letter that differ per person.

In a template a slot is `{{ slot("unsubscribe") }}`: a mark of two private-use characters around its name, which
survives escaping and CSS inlining. In an edition's bytes it is the name between two NULs, with `=` behind it where
the value must be quoted-printable. Values are made at the moment of sending from what the ledger knows, so no usable
token lies in the database, and the same row makes the same bytes again.
"""

import re
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from markupsafe import Markup

from mailer.languages import moment_in
from mailer.links import LIFETIMES, Links, Purpose

OPEN, CLOSE = "\ue000", "\ue001"
MARK = re.compile(f"{OPEN}([a-z_]+){CLOSE}")


class Recipient(NamedTuple):
    """What a slot's value can depend on: the row of the ledger and the edition it belongs to."""

    email: str
    uid: str
    list_id: int
    created_at: datetime
    language: str
    edition_sha256: str


Maker = Callable[[Recipient, Links], str]


def slot(name: str) -> Markup:
    """A slot's mark, for templates and links."""
    if name not in MAKERS:
        raise LookupError(f"there is no slot {name!r}")
    return Markup(OPEN + name + CLOSE)  # noqa: S704 - two private-use characters around a name of ours


def message_id(person: Recipient, _links: Links) -> str:
    """Derived, not random: a copy that is sent again has the same id, and receivers can drop it."""
    identity = f"{person.edition_sha256} {person.uid} {isoformat(person.created_at)}"
    return sha256(identity.encode()).hexdigest()[:32]


# Everybody on a digest was enlisted at the same moment.
isoformat = lru_cache(maxsize=16)(datetime.isoformat)
header_date = lru_cache(maxsize=16)(format_datetime)


def passing(purpose: Purpose) -> Maker:
    """The token of a link that works for a while from the moment the letter was written."""
    return lambda person, links: links.passing_token(purpose, person.uid, person.list_id, person.created_at)


def expiry(purpose: Purpose) -> Maker:
    return lambda person, _: moment_in(person.created_at + LIFETIMES[purpose], person.language)


MAKERS: dict[str, Maker] = {
    "to": lambda person, _: person.email,
    "date": lambda person, _: header_date(person.created_at),
    "message_id": message_id,
    "unsubscribe": lambda person, links: links.unsubscribe_token(person.uid, person.list_id),
    "unsubscribe_by_mail": lambda person, links: links.mail_token(person.uid, person.list_id),
    "not_me": lambda person, links: links.not_me_token(person.uid, person.list_id),
    "asked_at": lambda person, _: moment_in(person.created_at, person.language),
    **{purpose.value: passing(purpose) for purpose in LIFETIMES},
    **{f"{purpose.value}_expires_at": expiry(purpose) for purpose in LIFETIMES},
}
