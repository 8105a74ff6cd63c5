"""Finding a subscription: by the link in somebody's hand, or by an address."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import contains_eager

from mailer.addresses import Address
from mailer.db import db
from mailer.links import Claim, Purpose, links
from mailer.lists import list_id
from mailer.models import Subscriber, Subscription

FORGETTING = "forgetting"  # who finds somebody by their address to go on with them, and who forgets people, take turns
PERSON_FIRST = (Subscriber, Subscription)  # in which order rows are locked, so that nobody waits in a circle


def by_link(purpose: Purpose, token: str, *, lock: bool = False) -> tuple[Claim, Subscription | None]:
    """A link's claim and its subscription; None if there is none any more. Raises NotFound for a forged link."""
    claim = links().read(purpose, token)
    return claim, by_claim(claim, lock=lock)


def by_claim(claim: Claim, *, lock: bool = False) -> Subscription | None:
    return find(Subscriber.uid == claim.subscriber_uid, claim.list_id, lock=lock)


def by_address(address: Address, *, lock: bool = False) -> Subscription | None:
    return find(Subscriber.email_key == address.key, list_id(), lock=lock)


def find(whose: ColumnElement[bool], list_id: int, *, lock: bool) -> Subscription | None:
    query = select(Subscription).join(Subscription.subscriber).options(contains_eager(Subscription.subscriber))
    query = query.where(whose, Subscription.list_id == list_id)
    return db.session.scalar(query.with_for_update(of=PERSON_FIRST) if lock else query)
