"""Loading many rows by COPY is the same as inserting them, also in what goes wrong."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import exc, func, select

from mailer import bulk
from mailer.db import db, explain
from mailer.models import ConsentEvent, Edition, Subscriber, Subscription
from mailer.states import ConsentKind, Frequency, LetterKind, SubscriptionState

pytestmark = pytest.mark.usefixtures("app_context")

AT = datetime(2024, 2, 29, 12, 30, 45, 123456, tzinfo=UTC)
ODD = 'a tab\t, a \\backslash, \\N, a "quote",\na line, é, 会议'


def person(row_id: int, **values: Any) -> dict[str, Any]:
    email = f"person{row_id}@example.org"
    return {"id": row_id, "uid": str(row_id), "email": email, "email_key": email, "language": "en"} | {
        "created_at": AT,
        "erased_at": None,
        **values,
    }


def test_every_kind_of_value_arrives_as_it_was() -> None:
    connection = db.session.connection()
    bulk.load(connection, Subscriber, [person(1), person(2, email=None, email_key=None, erased_at=AT)])
    here = {"list_id": 1, "subscriber_id": 1, "state": SubscriptionState.PENDING, "frequency": Frequency.MONTHLY}
    bulk.load(connection, Subscription, [{"id": 1, "requested_at": AT, **here}])
    told = {"subscription_id": 1, "kind": ConsentKind.IMPORTED, "at": AT, "source": ODD, "language": "en"}
    bulk.load(connection, ConsentEvent, [{**told, "topics": ["a", "é"]}, {**told, "topics": None}])
    letter = {"list_id": 1, "letter": LetterKind.CONFIRMATION, "language": "en", "subject": ODD, "sha256": "0"}
    bulk.load(connection, Edition, [{**letter, "content": bytes(range(256)), "created_at": AT}])
    gone = db.session.get_one(Subscriber, 2)
    assert (gone.email, gone.erased_at, gone.created_at) == (None, AT, AT)
    assert db.session.get_one(Subscription, 1).frequency is Frequency.MONTHLY
    events = db.session.scalars(select(ConsentEvent).order_by(ConsentEvent.id)).all()
    assert [(event.source, event.at, event.topics) for event in events] == [(ODD, AT, ["a", "é"]), (ODD, AT, None)]
    assert db.session.scalars(select(Edition.content)).one() == bytes(range(256))


def test_numbers_are_fresh_and_the_next_row_gets_another() -> None:
    connection = db.session.connection()
    for expected in ([1, 2, 3], [4]):
        ids = bulk.fresh_ids(connection, Subscriber, len(expected))
        assert list(ids) == expected
        bulk.load(connection, Subscriber, [person(each) for each in ids])
    db.session.add(Subscriber(email="a@example.org", email_key="a@example.org", language="en"))
    db.session.flush()
    assert db.session.scalar(select(func.max(Subscriber.id))) == 5
    assert list(bulk.fresh_ids(connection, Subscriber, 0)) == []


def test_many_texts_are_found_by_one_query() -> None:
    bulk.load(db.session.connection(), Subscriber, [person(each) for each in range(1, 4)])
    wanted = bulk.these(db.session(), ["person1@example.org", "person3@example.org", 'it\'s "odd"\\', ODD])
    assert db.session.scalars(select(Subscriber.id).where(Subscriber.email_key.in_(wanted))).all() == [1, 3]
    assert (
        db.session.scalars(select(Subscriber.id).where(Subscriber.email_key.in_(bulk.these(db.session(), [])))).all()
        == []
    )


def test_what_is_refused_is_said_as_of_any_statement() -> None:
    """By SQLAlchemy's errors, so that a race of two who add the same person is explained."""
    with pytest.raises(exc.IntegrityError) as caught:
        bulk.load(db.session.connection(), Subscriber, [person(1), person(2, email_key="person1@example.org")])
    assert "at the same moment" in str(explain(caught.value))
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(Subscriber)) == 0
