"""Every public address and every signed token. No other module builds one or knows the secret.

A token is `<payload>.<signature>`: the payload names a subscriber by a random id, the signature is an
HMAC-SHA256 under a key of its own for each purpose, so a confirmation can't unsubscribe. Keys rotate:
the newest signs, all verify. Nothing in the database alone makes a token.

What stands in a mail address has to be short, and its case may get lost on the way: there a token is the same in
base32 (RFC 4648 6), with the first 128 bits of its signature.
"""

import re
from base64 import b32decode
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from urllib.parse import quote

from flask import current_app
from itsdangerous import BadSignature, Signer

from mailer.errors import NotFound

# Stands where a person's token will be, in a letter that is rendered once for everybody.
SAMPLE_UID = "preview"
URL_SAFE = bytes.maketrans(b"+/", b"-_")  # RFC 4648 5
FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")
UID_LETTERS = 16  # of which base64 makes 12 octets
MAIL_TOKEN = re.compile(
    r"[a-z2-7]{51}[aq]", re.ASCII | re.IGNORECASE
)  # of 32 octets; the last letter has one bit of them
# Together as much as a mail address has room for: its local part has 64 letters (RFC 5321 4.5.3.1.1).
UID_OCTETS, LIST_OCTETS, SIGNATURE_OCTETS = 12, 4, 16
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
BASE32_PAIRS = [first + second for first in BASE32 for second in BASE32]  # of 10 bits each
BLOCK = 64  # octets that SHA-256 takes at once


class Purpose(StrEnum):
    CONFIRM = "confirm"
    UNSUBSCRIBE = "unsubscribe"
    UNSUBSCRIBE_BY_MAIL = "unsubscribe-by-mail"
    NOT_ME = "not-me"
    MANAGE = "manage"
    GOODBYE = "goodbye"
    RESTORE = "restore"
    FORM = "form"  # when a form was shown
    WAIT = "wait"  # since when somebody waits
    PROOF = "proof"
    THROTTLE = "throttle"


# Of those that don't last for ever.
LIFETIMES = {
    Purpose.CONFIRM: timedelta(days=7),
    Purpose.MANAGE: timedelta(minutes=30),
    Purpose.GOODBYE: timedelta(hours=1),
    Purpose.RESTORE: timedelta(days=7),
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Claim:
    """What a verified token says: this subscriber, this list and, if it passes, when it was asked for."""

    subscriber_uid: str
    list_id: int
    asked_at: datetime | None = None
    lifetime: timedelta | None = field(default=None, compare=False)

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return bool(self.asked_at and self.lifetime and datetime.now(UTC) >= self.asked_at + self.lifetime)

    def is_older_than(self, at: datetime | None) -> bool:
        """Whether it was asked for before `at`, as precisely as a token can tell."""
        return bool(at and self.asked_at and self.asked_at < EPOCH + (at - EPOCH) // TICK * TICK)


class Seal:
    """HMAC-SHA-256 (RFC 2104) under one key. Both its hashes are begun once, which halves what a message costs."""

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= BLOCK else sha256(key).digest()).ljust(BLOCK, b"\0")
        self.inner, self.outer = (sha256(bytes(octet ^ pad for octet in block)) for pad in (0x36, 0x5C))

    def of(self, message: bytes) -> bytes:
        inner, outer = self.inner.copy(), self.outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


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
        self.seals = {purpose: Seal(signer.derive_key()) for purpose, signer in self.signers.items()}
        by_mail = self.signers[Purpose.UNSUBSCRIBE_BY_MAIL]
        self.mail_seals = [Seal(by_mail.derive_key(key)) for key in by_mail.secret_keys]

    def unsubscribe_token(self, uid: str, list_id: int) -> str:
        """Valid for ever: whoever finds an old letter can leave by it."""
        return self.sign(Purpose.UNSUBSCRIBE, f"{uid}.{list_id}")

    def mail_token(self, uid: str, list_id: int) -> str:
        """To unsubscribe by writing to an address that holds it; valid for ever. What only a preview has for a uid is
        filled up: such a token is as good as others and names nobody."""
        letters = uid.ljust(UID_LETTERS, "-").encode()
        payload = a2b_base64(letters.translate(FROM_URL_SAFE)) + list_id.to_bytes(LIST_OCTETS, "big")
        return base32(payload + self.seals[Purpose.UNSUBSCRIBE_BY_MAIL].of(payload)[:SIGNATURE_OCTETS])

    def read_mail_token(self, token: str) -> Claim:
        """What `mail_token` signed, in upper or lower case. Raises NotFound as `read` does."""
        if not MAIL_TOKEN.fullmatch(token):
            raise forged()
        octets = b32decode(token + "====", casefold=True)
        payload, signature = octets[:-SIGNATURE_OCTETS], octets[-SIGNATURE_OCTETS:]
        if not any(compare_digest(seal.of(payload)[:SIGNATURE_OCTETS], signature) for seal in self.mail_seals):
            raise forged()
        uid = b2a_base64(payload[:UID_OCTETS], newline=False).translate(URL_SAFE).decode()
        return Claim(uid, int.from_bytes(payload[UID_OCTETS:], "big"))

    def not_me_token(self, uid: str, list_id: int) -> str:
        """Valid for ever, too: letters that somebody never asked for can lie unread for long."""
        return self.sign(Purpose.NOT_ME, f"{uid}.{list_id}")

    def passing_token(self, purpose: Purpose, uid: str, list_id: int, asked_at: datetime) -> str:
        """Valid for the lifetime of its purpose."""
        return self.sign(purpose, f"{uid}.{list_id}.{(asked_at - EPOCH) // TICK:x}")

    def sign(self, purpose: Purpose, payload: str) -> str:
        """What `Signer.sign` makes, in a tenth of its time: every letter carries one."""
        return f"{payload}.{self.digest(purpose, payload)}"

    def digest(self, purpose: Purpose, text: str) -> str:
        """A keyed hash, for a name that must not be read back."""
        digest = b2a_base64(self.seals[purpose].of(text.encode()), newline=False)
        return digest.translate(URL_SAFE, b"=").decode()

    def read(self, purpose: Purpose, token: str) -> Claim:
        """What `token` says. Raises NotFound for one that is forged, garbled or of another purpose."""
        uid, list_id, *asked = self.verify(purpose, token).split(".")
        asked_at = EPOCH + int(asked[0], 16) * TICK if asked else None
        return Claim(uid, int(list_id), asked_at, LIFETIMES.get(purpose))

    def verify(self, purpose: Purpose, signed: str) -> str:
        """The payload of what `sign` made. Raises NotFound as `read` does."""
        try:
            return self.signers[purpose].unsign(signed.encode()).decode()
        except (BadSignature, UnicodeError):
            raise forged() from None

    def secret(self, purpose: Purpose) -> bytes:
        """A key for what is no token, of the newest secret."""
        key: bytes = self.signers[purpose].derive_key()
        return key

    def page(self, path: str = "/", **query: str) -> str:
        """An absolute address of ours; `path` may hold a slot, which stays as it is."""
        words = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return f"{self.base_url}{path}{'?' + words if words else ''}"


def base32(octets: bytes) -> str:
    """Of 32 octets, in a third of the time that `b32encode` takes: every letter may carry one."""
    bits = int.from_bytes(octets, "big") << 4  # 52 letters have room for 260
    return "".join([BASE32_PAIRS[bits >> place & 1023] for place in range(250, -1, -10)])


def forged() -> NotFound:
    return NotFound("this link is not one of ours, or part of it is missing")


def links() -> Links:
    found: Links = current_app.extensions["mailer.links"]
    return found
