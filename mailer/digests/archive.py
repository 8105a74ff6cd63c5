"""Past digests, as anybody may read them: no address and no token in them."""

from sqlalchemy import select

from mailer.db import db
from mailer.errors import NotFound
from mailer.lists import the_list
from mailer.models import Digest, DigestState

PUBLIC = (DigestState.SENDING, DigestState.PAUSED, DigestState.SENT)


def public() -> list[Digest]:
    """The newest first."""
    query = select(Digest).filter_by(list_id=the_list().id).where(Digest.state.in_(PUBLIC))
    return list(db.session.scalars(query.order_by(Digest.approved_at.desc(), Digest.id.desc())))


def find_public(slug: str) -> Digest:
    query = select(Digest).filter_by(list_id=the_list().id, slug=slug).where(Digest.state.in_(PUBLIC))
    found = db.session.scalar(query)
    if found is None:
        raise NotFound("there is no such digest in the archive")
    return found
