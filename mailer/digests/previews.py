"""Whether somebody has looked at a digest before it goes out: noted for each language, with a checksum of the words."""

from mailer.db import now, transaction
from mailer.digests import snapshot
from mailer.digests.compose import lock
from mailer.localtime import local
from mailer.models import Digest


def note(digest: Digest, code: str) -> None:
    """Somebody saw a copy in this language. Of what went out already that is of no interest."""
    if digest.published_at is None:
        with transaction() as session:
            digest = lock(session, digest.id)
            digest.previewed_at = now()
            digest.previewed = {**(digest.previewed or {}), code: snapshot.checksum(digest)}


def seen_in(digest: Digest) -> list[str]:
    """The languages in which somebody saw the words as they are now."""
    words = snapshot.checksum(digest)
    return [code for code, looked_at in (digest.previewed or {}).items() if looked_at == words]


def told(digest: Digest) -> str:
    """In a few words, for who is about to send it."""
    if not digest.previewed_at:
        return "nobody has looked at it"
    codes = seen_in(digest)
    when = f"{local(digest.previewed_at):%Y-%m-%d %H:%M}"
    return f"looked at in {', '.join(codes)}" if codes else f"changed since somebody looked at it, {when}"
