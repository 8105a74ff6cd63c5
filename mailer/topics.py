"""What a list's announcements are about: topics that an operator names and orders, and subscribers choose."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from sqlalchemy import Delete, bindparam, delete, func, insert, literal, select
from sqlalchemy.orm import Session

from mailer import bulk
from mailer.config import settings
from mailer.db import KEPT, NOBODY, db, insert_kept, insert_new, now, transaction
from mailer.errors import BadInput, NotAllowed, NotFound
from mailer.languages import UNKNOWN, Language, language
from mailer.models import Announcement, Topic, subscription_topic
from mailer.parsing import is_word


@dataclass(frozen=True)
class Use:
    """How many have chosen a topic, how many of them no other, and how many announcements are about it."""

    subscriptions: int
    alone: int
    announcements: int

    def __bool__(self) -> bool:
        return bool(self.subscriptions or self.announcements)


def every(list_id: int) -> list[Topic]:
    """In their order, retired ones too."""
    return list(db.session.scalars(select(Topic).filter_by(list_id=list_id).order_by(Topic.position, Topic.id)))


def offered(list_id: int) -> list[Topic]:
    """Those that can be chosen."""
    return [topic for topic in every(list_id) if topic.retired_at is None]


class Name(NamedTuple):
    """A topic's name, and the language it is in: UNKNOWN if it is but the topic's key."""

    text: str
    language: Language


def name(topic: Topic, reader: str) -> Name:
    """A topic's name for a reader of this language, else in the list's languages in their order."""
    languages = (reader, *settings().languages)
    found = next((language(code) for code in languages if code in topic.names), UNKNOWN)
    return Name(topic.called(*languages), found)


def find(list_id: int, key: str) -> Topic:
    """Raises NotFound, with the nearest key that exists."""
    found = db.session.scalar(select(Topic).filter_by(list_id=list_id, key=key))
    if found is None:
        near = closest(key, [topic.key for topic in every(list_id)])
        hint = f"did you mean {near!r}?" if near else "'mailer topic list' shows all of them"
        raise NotFound(f"there is no topic {key!r}: {hint}")
    return found


def closest(key: str, known: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(key, known, n=1, cutoff=0.8)), None)


def add(list_id: int, key: str, names: Mapping[str, str], position: int | None = None) -> Topic:
    """A new topic, the last unless told; a retired one is offered again. Raises BadInput for a key that can't be one,
    NotAllowed for one that there is."""
    if not is_word(key):
        raise BadInput(f"topic {key!r} is not a word of a-z, 0-9 and hyphens")
    with transaction() as session:
        made = bool(ensure(session, list_id, [key]))
        topic = find(list_id, key)
        if not made and topic.retired_at is None:
            raise NotAllowed(f"there is a topic {key!r} already: 'mailer topic rename' changes its names")
        topic.retired_at = None
        change(session, topic, names, position)
    return topic


def rename(list_id: int, key: str, names: Mapping[str, str], position: int | None = None) -> Topic:
    """Give a topic other names or another place. Raises NotFound."""
    with transaction() as session:
        topic = find(list_id, key)
        change(session, topic, names, position)
    return topic


def change(session: Session, topic: Topic, names: Mapping[str, str], position: int | None) -> None:
    topic.names = {**topic.names, **names}
    if position is not None:
        others = [each for each in every(topic.list_id) if each is not topic]
        others.insert(max(0, position - 1), topic)
        for number, each in enumerate(others, 1):
            each.position = number
    session.flush()


def use(topic: Topic) -> Use:
    others = subscription_topic.alias()
    elsewhere = select(others.c.topic_id).where(
        others.c.subscription_id == subscription_topic.c.subscription_id, others.c.topic_id != topic.id
    )
    count = select(func.count()).select_from(subscription_topic).where(subscription_topic.c.topic_id == topic.id)
    return Use(
        db.session.scalar(count) or 0,
        db.session.scalar(count.where(~elsewhere.exists())) or 0,
        len(announcements(topic)),
    )


def announcements(topic: Topic) -> list[Announcement]:
    """Those about it. A list has thousands of them, not millions, so they are looked through one by one."""
    rows = db.session.scalars(select(Announcement).filter_by(list_id=topic.list_id))
    return [each for each in rows if topic.key in each.topics]


def remove(list_id: int, key: str) -> None:
    """Raises NotFound; NotAllowed for a topic that people chose or announcements are about: the operator has to say
    what is to become of them."""
    with transaction() as session:
        topic = find(list_id, key)
        if used := use(topic):
            raise NotAllowed(
                f"{used.subscriptions} subscribers chose {key!r} and {used.announcements} announcements are about it: "
                f"--into OTHER gives them another topic, --retire only stops offering it"
            )
        session.delete(topic)


def retire(list_id: int, key: str) -> Use:
    """Offer a topic no longer. Who chose it keeps it."""
    with transaction():
        topic = find(list_id, key)
        topic.retired_at = topic.retired_at or now()
        return use(topic)


def merge(list_id: int, key: str, into: str) -> Use:
    """Give everybody and everything of a topic another one, and remove it. Raises NotFound; BadInput for the same."""
    if key == into:
        raise BadInput(f"{key!r} can't become part of itself")
    with transaction() as session:
        old, new = find(list_id, key), find(list_id, into)
        used = use(old)
        rows = subscription_topic.c
        have = select(rows.subscription_id).where(rows.topic_id == new.id)
        move = select(rows.subscription_id, literal(new.id)).where(
            rows.topic_id == old.id, rows.subscription_id.not_in(have)
        )
        session.execute(insert(subscription_topic).from_select(["subscription_id", "topic_id"], move))
        for each in announcements(old):
            each.topics = list(dict.fromkeys(into if topic == key else topic for topic in each.topics))
        session.delete(old)
    return used


def of_keys(session: Session, list_id: int, keys: Iterable[str]) -> list[Topic]:
    """The topics of these keys that there are."""
    query = select(Topic).where(Topic.list_id == list_id, Topic.key.in_(list(keys)))
    return list(session.scalars(query.order_by(Topic.position, Topic.id)))


def ensure(session: Session, list_id: int, keys: Iterable[str]) -> list[str]:
    """Make the topics that are missing, in the caller's transaction; the keys of the new ones. An announcement or an
    import that names a topic is not refused for it: its names can be given later."""
    wanted = list(dict.fromkeys(keys))
    known = ids_of_keys(session, list_id, wanted)
    last = session.scalar(select(func.max(Topic.position)).filter_by(list_id=list_id)) or 0
    missing = [key for key in wanted if key not in known]
    return [
        key
        for number, key in enumerate(missing, last + 1)
        if insert_new(session, Topic, list_id=list_id, key=key, names={}, position=number)
    ]


class Choice(NamedTuple):
    """What somebody chooses. Not `kept`: the database is told of it, and nothing comes of it."""

    subscription_id: int
    keys: Sequence[str]
    kept: bool


def choose_anew(session: Session, list_id: int, choices: Sequence[Choice]) -> list[list[str]]:
    """Let people of a list have chosen these topics and no others, in the caller's transaction. The keys of each that
    there are, in the topics' order. What was chosen before is not loaded for it."""
    connection = session.connection()
    whose = [each.subscription_id if each.kept else NOBODY for each in choices]
    connection.execute(all_chosen(), {"subscriptions": whose})
    wanted = {key for each in choices for key in each.keys}
    known = ids_of_keys(session, list_id, wanted) if wanted else {}
    found = [[key for key in known if key in each.keys] for each in choices]
    rows = [
        {"subscription_id": each.subscription_id, "topic_id": known[key], KEPT: each.kept}
        for each, keys in zip(choices, found, strict=True)
        for key in keys
    ]
    if rows:
        insert_kept(session, subscription_topic, rows, "subscription_id", "topic_id")
    return found


def ids_of_keys(session: Session, list_id: int, keys: Iterable[str]) -> dict[str, int]:
    """{key: id} of the topics of these keys that there are, in their order."""
    query = select(Topic.key, Topic.id).where(Topic.list_id == list_id, Topic.key.in_(list(keys)))
    return {row.key: row.id for row in session.connection().execute(query.order_by(Topic.position, Topic.id))}


@cache
def all_chosen() -> Delete:
    theirs = subscription_topic.c.subscription_id.in_(bindparam("subscriptions", expanding=True))
    return delete(subscription_topic).where(theirs)


def choose(session: Session, list_id: int, choices: Mapping[int, Sequence[str]]) -> None:
    """Write down what many people chose at once, in the caller's transaction: {subscription id: keys} of subscriptions
    that have chosen nothing yet."""
    keys = list(dict.fromkeys(key for chosen in choices.values() for key in chosen))
    if not keys:
        return
    ensure(session, list_id, keys)
    ids = ids_of_keys(session, list_id, keys)
    rows = [
        {"subscription_id": subscription_id, "topic_id": ids[key]}
        for subscription_id, chosen in choices.items()
        for key in dict.fromkeys(chosen)
    ]
    bulk.load(session.connection(), subscription_topic, rows)
