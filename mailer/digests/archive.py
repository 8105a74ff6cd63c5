"""Past digests, as anybody may read them: no address and no token in them."""

from sqlalchemy import Select, select

from mailer.db import db
from mailer.errors import NotFound
from mailer.lists import the_list
from mailer.models import Digest
from mailer.parsing import is_word
from mailer.states import DigestState

# A cancelled digest that had begun to go out is public too: letters that arrived link to its page.
PUBLIC = (DigestState.SENDING, DigestState.PAUSED, DigestState.SENT, DigestState.CANCELLED)


def public_digests() -> Select[Digest]:
    begun = Digest.approved_at.is_not(None)
    return select(Digest).where(Digest.list_id == the_list().id, Digest.state.in_(PUBLIC), begun)


def public() -> list[Digest]:
    """The newest first."""
    query = public_digests().where(Digest.state != DigestState.CANCELLED)
    return list(db.session.scalars(query.order_by(Digest.approved_at.desc(), Digest.id.desc())))


def find_public(slug: str) -> Digest:
    found = db.session.scalar(public_digests().where(Digest.slug == slug)) if is_word(slug) else None
    if found is None:
        raise NotFound("there is no such digest in the archive")
    return found
