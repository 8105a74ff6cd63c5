"""Past digests, as anybody may read them: no address and no token in them."""

from sqlalchemy import select

from mailer.db import db
from mailer.delivery import account
from mailer.errors import NotFound
from mailer.lists import the_list
from mailer.models import Digest
from mailer.parsing import is_word
from mailer.states import DigestState

PUBLIC = (DigestState.SENDING, DigestState.PAUSED, DigestState.SENT)


def public() -> list[Digest]:
    """The newest first."""
    query = select(Digest).where(Digest.list_id == the_list().id, Digest.state.in_(PUBLIC))
    return list(db.session.scalars(query.order_by(Digest.approved_at.desc(), Digest.id.desc())))


def find_public(slug: str) -> Digest:
    """The digest of an archive page. Raises NotFound for one that nobody was ever written to.

    One that was cancelled in mid-run keeps its page: letters that arrived link to it.
    """
    query = select(Digest).filter_by(list_id=the_list().id, slug=slug)
    found = db.session.scalar(query) if is_word(slug) else None
    if found is None or not account.was_enlisted(found.id):
        raise NotFound("there is no such digest in the archive")
    return found
