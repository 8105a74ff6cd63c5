"""Tables come from migrations alone, and the database itself forbids what must never be."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask_migrate import downgrade, upgrade
from sqlalchemy.exc import IntegrityError

from mailer.db import Base, db, now
from mailer.lists import make_list
from mailer.models import ConsentEvent, Delivery, Digest, DigestItem, Edition, MailingList, Subscriber, Subscription
from mailer.states import ConsentKind, DeliveryState, Frequency, LetterKind, SubscriptionState

from ..installation import Installation


def shape(engine: sa.Engine) -> dict[str, Any]:
    """Every table with what its columns are and what it forbids, in a form that can be compared."""
    look = sa.inspect(engine)
    tables = [name for name in look.get_table_names() if name != "alembic_version"]
    return {
        name: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"]) for c in look.get_columns(name)},
            "primary key": look.get_pk_constraint(name)["constrained_columns"],
            "foreign keys": sorted(
                (k["constrained_columns"], k["referred_table"]) for k in look.get_foreign_keys(name)
            ),
            "unique": sorted((u["name"], u["column_names"]) for u in look.get_unique_constraints(name)),
            "checks": sorted((str(c["name"]), c["sqltext"]) for c in look.get_check_constraints(name)),
            "indexes": sorted((str(i["name"]), i["column_names"], bool(i["unique"])) for i in look.get_indexes(name)),
        }
        for name in tables
    }


@pytest.mark.usefixtures("app_context")
def test_migrations_make_what_the_models_say() -> None:
    with db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    migrated = shape(db.engine)
    with db.engine.begin() as connection:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    assert migrated == shape(db.engine)


@pytest.mark.usefixtures("app_context")
def test_migrations_can_be_taken_back() -> None:
    db.session.remove()
    downgrade(revision="base")
    assert set(sa.inspect(db.engine).get_table_names()) == {"alembic_version"}


@pytest.mark.usefixtures("app_context")
def test_evidence_goes_down_to_an_older_version_and_up_again(here: Installation) -> None:
    """Words that were shown stay with their events; people and rows stay too."""
    here.sign_up("ada@example.org")
    here.imported(1)
    shown = here.json("subscriber", "show", "ada@example.org")["consent"][0]["wording"]
    db.session.remove()
    downgrade(revision="0002")
    with db.engine.connect() as connection:
        words = connection.scalars(sa.text("SELECT wording FROM consent_event ORDER BY id")).all()
    assert words == [shown, "a test"]
    upgrade()
    make_list()
    assert here.json("subscriber", "show", "ada@example.org")["consent"][0]["basis"] == shown
    with pytest.raises(IntegrityError), db.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM consent_event"))


@pytest.mark.usefixtures("app_context")
def test_what_could_be_read_in_the_archive_can_be_read_after_an_upgrade(here: Installation) -> None:
    here.imported(1)
    here.run("digest", "send", here.draft(), "--yes")
    here.json("digest", "compose", 1, "--title", "A draft")
    db.session.remove()
    downgrade(revision="0006")
    upgrade()
    query = sa.select(Digest.title, Digest.published_at == Digest.approved_at).order_by(Digest.id)
    assert db.session.execute(query).all() == [(None, True), ("A draft", None)]


def person(**values: Any) -> Subscriber:
    return Subscriber(**{"email": "a@example.org", "email_key": "a@example.org", "language": "en", **values})


def on_the_list(subscriber: Subscriber, **values: Any) -> Subscription:
    usual = {"list_id": 1, "state": SubscriptionState.PENDING, "frequency": Frequency.WEEKLY}
    return Subscription(**{**usual, "subscriber": subscriber, **values})


def two_subscriptions() -> list[Base]:
    ada = person()
    return [on_the_list(ada), on_the_list(ada)]


def two_deliveries() -> list[Base]:
    ada, digest = person(), Digest(list_id=1, slug="d")
    edition = Edition(
        list_id=1,
        letter=LetterKind.DIGEST,
        language="en",
        digest=digest,
        selection=1,
        subject="",
        content=b"",
        sha256="0",
    )
    db.session.add_all([ada, edition])
    db.session.flush()
    return [Delivery(edition=edition, digest_id=digest.id, subscriber=ada) for _ in range(2)]


FORBIDDEN: dict[str, Callable[[], list[Base]]] = {
    "a person twice": lambda: [person(), person(email="A@example.org")],
    "a person on the list twice": two_subscriptions,
    "a person in a digest twice": two_deliveries,
    "an address without its key": lambda: [person(email_key=None)],
    "nobody's address": lambda: [person(email=None, email_key=None)],
    "a confirmation without a date": lambda: [on_the_list(person(), state=SubscriptionState.CONFIRMED)],
    "an end without a reason": lambda: [on_the_list(person(), state=SubscriptionState.ENDED, ended_at=now())],
    "a second list of the same name": lambda: [MailingList(slug="frontier-technologies", name="again")],
    "a list that does not exist": lambda: [on_the_list(person(), list_id=99)],
    "evidence for nobody": lambda: [ConsentEvent(subscription_id=99, kind=ConsentKind.ASKED, source="", language="en")],
    "an item of no digest": lambda: [DigestItem(digest_id=99, announcement_id=99, position=1)],
    "a letter of a digest without the digest": lambda: [
        Edition(list_id=1, letter=LetterKind.DIGEST, language="en", subject="", content=b"", sha256="0")
    ],
}


@pytest.mark.usefixtures("app_context")
@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_database_forbids(what: str) -> None:
    db.session.add_all(FORBIDDEN[what]())
    with pytest.raises(IntegrityError):
        db.session.flush()
    db.session.rollback()


@pytest.mark.usefixtures("app_context")
@pytest.mark.parametrize("column", ["subscription.state", "subscription.frequency", "digest.state", "delivery.state"])
def test_a_state_that_does_not_exist_is_refused_by_the_database(column: str) -> None:
    table, name = column.split(".")
    delivery = two_deliveries()[0]
    assert isinstance(delivery, Delivery)
    db.session.add_all([delivery, on_the_list(delivery.subscriber)])
    db.session.commit()
    statement = sa.text(f"UPDATE {table} SET {name} = 'nonsense'")
    with pytest.raises(IntegrityError):
        db.session.execute(statement)
    db.session.rollback()


@pytest.mark.usefixtures("app_context")
def test_a_delivery_is_put_off_only_with_a_time_to_try_again() -> None:
    delivery = two_deliveries()[0]
    assert isinstance(delivery, Delivery)
    delivery.state = DeliveryState.DEFERRED
    db.session.add(delivery)
    with pytest.raises(IntegrityError):
        db.session.flush()
    db.session.rollback()


@pytest.mark.usefixtures("app_context")
def test_sqlite_runs_as_promised() -> None:
    if db.engine.dialect.name != "sqlite":
        assert db.engine.dialect.name == "postgresql"
        return
    pragmas = {name: db.session.scalar(sa.text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")}
    pragmas |= {name: db.session.scalar(sa.text(f"PRAGMA {name}")) for name in ("foreign_keys", "busy_timeout")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
