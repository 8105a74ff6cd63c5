"""Keyed hashes of addresses: how somebody is remembered without being known.

A plain hash of an address can be guessed from a list of addresses. These are HMACs under a random key, the pepper,
which is made once and kept in the database, wrapped in a key that is derived from SECRET_KEY. So neither the database
nor the settings alone give anything away, and SECRET_KEY can be rotated without a hash losing its meaning.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.addresses import Address
from mailer.config import settings
from mailer.db import db, insert_new
from mailer.errors import ConfigError, NotFound
from mailer.models import Pepper

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

ROW = 1
CACHE = "mailer.pepper"


def address_hash(address: Address) -> str:
    """What stands for an address. Raises ConfigError if SECRET_KEY doesn't unwrap the pepper, NotFound before
    `mailer init`."""
    return hmac.digest(pepper(), address.key.encode(), "sha256").hex()


def pepper() -> bytes:
    known: bytes | None = current_app.extensions.get(CACHE)
    if known is None:
        known = current_app.extensions[CACHE] = unwrap(stored())
    return known


def stored() -> str:
    found = db.session.scalar(select(Pepper.wrapped).where(Pepper.id == ROW))
    if found is None:
        raise NotFound("the database has no key for hashes of addresses yet: run 'mailer init'")
    return found


def unwrap(wrapped: str) -> bytes:
    from cryptography.fernet import InvalidToken

    try:
        return wrapping().decrypt(wrapped)
    except InvalidToken:
        raise ConfigError(
            "SECRET_KEY is not the one this database was used with, so those who must not be mailed can't be told: "
            "set the former key, or put it behind the new one (NEW,OLD)"
        ) from None


def make(session: Session) -> None:
    """The pepper, unless there is one; then it is wrapped in the newest key, so that an older one may be given up.

    Raises ConfigError if no key of SECRET_KEY unwraps it.
    """
    from cryptography.fernet import Fernet

    fresh = wrapping().encrypt(Fernet.generate_key()).decode()
    insert_new(session, Pepper, id=ROW, wrapped=fresh)
    row = session.scalars(select(Pepper).filter_by(id=ROW).with_for_update()).one()
    unwrap(row.wrapped)
    if not is_newest(row.wrapped):
        row.wrapped = wrapping().rotate(row.wrapped).decode()


def is_newest(wrapped: str) -> bool:
    from cryptography.fernet import InvalidToken

    try:
        return bool(wrapping(newest_only=True).decrypt(wrapped))
    except InvalidToken:
        return False


def wrapping(*, newest_only: bool = False) -> "MultiFernet":
    """The newest key of SECRET_KEY wraps, all of them unwrap."""
    from cryptography.fernet import Fernet, MultiFernet

    secrets = settings().secret_key[:1] if newest_only else settings().secret_key
    keys = [hmac.digest(secret.encode(), b"mailer.pepper", sha256) for secret in secrets]
    return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in keys])
