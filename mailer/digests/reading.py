"""What one reader gets of a digest: what was sent to them, else what would be."""

from sqlalchemy import select

from mailer.db import db
from mailer.digests import editions, selections
from mailer.digests.editions import Rendered
from mailer.errors import NotAllowed
from mailer.models import Delivery, Digest, Edition, Subscriber


def letter_for(digest: Digest, subscriber: Subscriber, code: str | None = None) -> Rendered:
    """In their language, or the one that is named. Raises NotAllowed if they would get none."""
    enlisted = select(Edition).join(Delivery, Delivery.edition_id == Edition.id)
    sent = db.session.scalar(enlisted.where(Delivery.digest_id == digest.id, Delivery.subscriber_id == subscriber.id))
    if sent and code in (None, sent.language):
        return editions.frozen(sent)
    people = selections.people(db.session(), digest).where(Subscriber.id == subscriber.id)
    found = db.session.execute(people).first()
    if found is None:
        raise NotAllowed(
            f"{subscriber.email} would get nothing of digest {digest.id}: not confirmed, another frequency or other "
            "topics, or had all of it before"
        )
    _, language, selection = found
    return editions.current(digest, code or language, selections.ids(digest, selection))
