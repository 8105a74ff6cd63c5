"""Every public address and every signed token. No other module builds one or knows the secret.

A token is `<payload>.<signature>`: the payload names a subscriber by a random id, the signature is an
HMAC-SHA256 under a key of its own for each purpose, so a confirmation can't unsubscribe. Keys rotate:
the newest signs, all verify. Nothing in the database alone makes a token.
"""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from urllib.parse import quote

from flask import current_app
from itsdangerous import BadSignature, Signer

from mailer.errors import NotFound

CONFIRM_LIFETIME = timedelta(days=7)
# Stands where a person's token will be, in a letter that is rendered once for everybody.
SAMPLE_UID = "preview"


class Purpose(StrEnum):
    CONFIRM = "confirm"
    UNSUBSCRIBE = "unsubscribe"


@dataclass(frozen=True)
class Claim:
    """What a verified token says: this subscriber, this list and, for a confirmation, when it was asked for."""

    subscriber_uid: str
    list_id: int
    asked_at: datetime | None = None

    @property
    def expired(self) -> bool:
        return self.asked_at is not None and datetime.now(UTC) >= self.asked_at + CONFIRM_LIFETIME


class Links:
    """The addresses of one installation. `app.py` makes it from the settings; `links()` finds it."""

    def __init__(self, base_url: str, secret_keys: tuple[str, ...]) -> None:
        self.base_url = base_url
        oldest_first = list(reversed(secret_keys))
        self.signers = {
            purpose: Signer(oldest_first, salt=f"mailer.{purpose}", key_derivation="hmac", digest_method=sha256)
            for purpose in Purpose
        }
        # The signer derives its key anew for each signature, which is most of what one costs it.
        self.keyed = {
            purpose: hmac.new(signer.derive_key(), digestmod=sha256) for purpose, signer in self.signers.items()
        }

    def unsubscribe_token(self, uid: str, list_id: int) -> str:
        """Valid for ever: whoever finds an old letter can leave by it."""
        return self.sign(Purpose.UNSUBSCRIBE, f"{uid}.{list_id}")

    def confirm_token(self, uid: str, list_id: int, asked_at: datetime) -> str:
        return self.sign(Purpose.CONFIRM, f"{uid}.{list_id}.{int(asked_at.timestamp()):x}")

    def sign(self, purpose: Purpose, payload: str) -> str:
        """What `Signer.sign` makes, in a sixth of its time: every letter carries one."""
        signature = self.keyed[purpose].copy()
        signature.update(payload.encode())
        return f"{payload}.{urlsafe_b64encode(signature.digest()).rstrip(b'=').decode()}"

    def read(self, purpose: Purpose, token: str) -> Claim:
        """What `token` says. Raises NotFound for one that is forged, garbled or of another purpose."""
        try:
            payload = self.signers[purpose].unsign(token.encode()).decode()
        except (BadSignature, UnicodeError):
            raise NotFound("this link is not one of ours, or part of it is missing") from None
        uid, list_id, *asked = payload.split(".")
        asked_at = datetime.fromtimestamp(int(asked[0], 16), UTC) if asked else None
        return Claim(uid, int(list_id), asked_at)

    def page(self, path: str = "/", **query: str) -> str:
        """An absolute address of ours; `path` may hold a slot, which stays as it is."""
        words = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return f"{self.base_url}{path}{'?' + words if words else ''}"


def links() -> Links:
    found: Links = current_app.extensions["mailer.links"]
    return found
