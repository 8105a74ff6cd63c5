"""The tables, with the state changes that are legal. Constraints live in the database, so no race can break them."""

import datetime as dt
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailer.db import Base, UTCDateTime, now
from mailer.errors import NotAllowed
from mailer.states import (
    LEGAL_DIGEST_MOVES,
    AnnouncementType,
    ConsentKind,
    DeliveryState,
    DigestState,
    EndedReason,
    Frequency,
    LeavingReason,
    LetterKind,
    SubscriptionState,
    SuppressionReason,
    WordingKind,
)

LONGEST_PAUSE = timedelta(days=366)

# A ledger grows past 2**31 rows on PostgreSQL; SQLite's integers are 64 bits wide anyway.
BigId = BigInteger().with_variant(Integer, "sqlite")


def stored(enum: type[StrEnum], name: str, *, checked: bool = True) -> Enum:
    """A text column that holds only the words of `enum`, checked by the database."""
    return Enum(
        enum,
        name=name,
        native_enum=False,
        create_constraint=checked,
        length=20,
        values_callable=lambda words: [word.value for word in words],
    )


def fresh_uid() -> str:
    """A random public id: tokens carry it, so that the row numbers stay ours."""
    return secrets.token_urlsafe(12)


class MailingList(Base):
    __tablename__ = "list"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(100), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


class Topic(Base):
    """Something that announcements are about and subscribers choose. Announcements and imports call it by its key."""

    __tablename__ = "topic"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    key: Mapped[str] = mapped_column(String(100))
    names: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)  # by language
    position: Mapped[int]
    retired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # who chose it keeps it, nobody else can

    __table_args__ = (UniqueConstraint("list_id", "key"),)

    def called(self, *languages: str) -> str:
        """Its name in the first of these languages that it has one in, else its key as words."""
        words = self.key.replace("-", " ")
        return next((self.names[code] for code in languages if code in self.names), words[0].upper() + words[1:])


subscription_topic = Table(
    "subscription_topic",
    Base.metadata,
    Column("subscription_id", ForeignKey("subscription.id", ondelete="CASCADE"), primary_key=True),
    Column("topic_id", ForeignKey("topic.id", ondelete="CASCADE"), primary_key=True, index=True),
)


class Subscriber(Base):
    __tablename__ = "subscriber"

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(String(32), unique=True, default=fresh_uid)
    email: Mapped[str | None] = mapped_column(String(255))
    email_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    # Stands for the address of somebody who left long ago, so that an import does not revive them, and their own
    # return finds this row: the link in their oldest letter still works.
    email_hash: Mapped[str | None] = mapped_column(String(64), index=True, unique=True)
    language: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    # When the address was removed, for whatever reason.
    erased_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    subscriptions: Mapped[list["Subscription"]] = relationship(back_populates="subscriber")

    __table_args__ = (
        CheckConstraint("(email IS NULL) = (email_key IS NULL)", name="email_with_key"),
        CheckConstraint("email IS NOT NULL OR erased_at IS NOT NULL", name="email_or_erased"),
    )


class Subscription(Base):
    """A subscriber on a list. One row for ever: who comes back goes from ended to pending again,
    and the history is in the consent events. So the link in the oldest letter still works."""

    __tablename__ = "subscription"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscriber.id"), index=True)
    state: Mapped[SubscriptionState] = mapped_column(stored(SubscriptionState, "state"))
    frequency: Mapped[Frequency] = mapped_column(stored(Frequency, "frequency"))
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_reason: Mapped[EndedReason | None] = mapped_column(stored(EndedReason, "ended_reason"))
    left_because: Mapped[LeavingReason | None] = mapped_column(stored(LeavingReason, "left_because", checked=False))
    # "Not me", said of a request: no letter asks this address to confirm until long after.
    not_me_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    paused_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Manage links that were asked for before this moment work no more.
    manage_from: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Since a change of frequency: when it was, and which one was left. What that one would still have brought is owed
    # to the person until a digest of the new one has brought it (ADR 16).
    owed_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    owed_by: Mapped[Frequency | None] = mapped_column(stored(Frequency, "owed_by", checked=False))

    mailing_list: Mapped[MailingList] = relationship()
    subscriber: Mapped[Subscriber] = relationship(back_populates="subscriptions")
    consent: Mapped[list["ConsentEvent"]] = relationship(order_by="ConsentEvent.id")
    chosen: Mapped[list["Topic"]] = relationship(
        secondary=lambda: subscription_topic, order_by="Topic.position, Topic.id", passive_deletes=True
    )

    __table_args__ = (
        UniqueConstraint("list_id", "subscriber_id"),
        Index(None, "list_id", "state"),
        Index(None, "requested_at"),
        Index(
            "ix_subscription_owed",
            "list_id",
            "frequency",
            sqlite_where=text("owed_since IS NOT NULL"),
            postgresql_where=text("owed_since IS NOT NULL"),
        ),
        CheckConstraint("state <> 'confirmed' OR confirmed_at IS NOT NULL", name="confirmed_at"),
        CheckConstraint("(state = 'ended') = (ended_at IS NOT NULL AND ended_reason IS NOT NULL)", name="ended_at"),
    )

    @property
    def topics(self) -> list[str]:
        """The keys of the chosen topics; none stands for all of them, also those that are added later."""
        return [topic.key for topic in self.chosen]

    def ask(self, at: datetime) -> None:
        """Begin again after an end. Asking twice keeps the first date: its links stay good."""
        if self.state is SubscriptionState.ENDED:
            self.state = SubscriptionState.PENDING
            self.requested_at = at
            self.confirmed_at = self.ended_at = self.ended_reason = None
            self.left_because = self.not_me_at = self.paused_until = None
            self.owed_since = self.owed_by = None

    def choose_frequency(self, frequency: Frequency, at: datetime) -> None:
        """Of several changes before the next digest, the first one says what is owed."""
        changes = frequency is not self.frequency and self.state is SubscriptionState.CONFIRMED
        if changes and self.owed_since is None:
            self.owed_since, self.owed_by = at, self.frequency
        self.frequency = frequency

    def confirm(self, at: datetime) -> None:
        if self.state is not SubscriptionState.PENDING:
            raise NotAllowed(f"a subscription that is {self.state} can't be confirmed")
        self.state = SubscriptionState.CONFIRMED
        self.confirmed_at = at

    def end(self, reason: EndedReason, at: datetime) -> None:
        self.state = SubscriptionState.ENDED
        self.ended_at = at
        self.ended_reason = reason

    def resume(self) -> None:
        """Take an end back: as if it had not been."""
        self.state = SubscriptionState.CONFIRMED if self.confirmed_at else SubscriptionState.PENDING
        self.ended_at = self.ended_reason = self.left_because = self.not_me_at = None

    def forget(self) -> None:
        """Nothing that the person ever chose or said stays."""
        self.chosen = []
        self.left_because = self.not_me_at = self.paused_until = self.manage_from = None
        self.owed_since = self.owed_by = None

    def is_paused(self, at: datetime) -> bool:
        return self.paused_until is not None and at < self.paused_until


class Move(Base):
    """A change of address: another subscription takes the place of this one once its address is confirmed."""

    __tablename__ = "move"

    to_id: Mapped[int] = mapped_column(ForeignKey("subscription.id", ondelete="CASCADE"), primary_key=True)
    from_id: Mapped[int] = mapped_column(ForeignKey("subscription.id", ondelete="CASCADE"), index=True)
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    __table_args__ = (CheckConstraint("to_id <> from_id", name="to_another"),)


class Wording(Base):
    """Words that people agreed to or were informed by, each version once. Never changed."""

    __tablename__ = "wording"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[WordingKind] = mapped_column(stored(WordingKind, "kind"))
    language: Mapped[str] = mapped_column(String(10))
    sha256: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    # When somebody first answered it: showing a page writes nothing.
    first_used_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)

    __table_args__ = (UniqueConstraint("kind", "language", "sha256"),)


class ConsentEvent(Base):
    """Append-only evidence: what was asked, when, from where, with which wording. Triggers in the database refuse any
    change; rows can be deleted only of somebody who was erased (see the migration that makes them).

    No constraint holds `kind` to its words: an altered one would search a million rows, and drop SQLite's triggers.
    """

    __tablename__ = "consent_event"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscription.id"), index=True)
    kind: Mapped[ConsentKind] = mapped_column(stored(ConsentKind, "kind", checked=False))
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    source: Mapped[str] = mapped_column(String(500))
    language: Mapped[str] = mapped_column(String(10))
    wording_id: Mapped[int | None] = mapped_column(ForeignKey("wording.id"))
    notice_id: Mapped[int | None] = mapped_column(ForeignKey("wording.id"))
    # Of an import, what the operator stated; of an event from before wordings had a table, the words that were shown.
    basis: Mapped[str | None] = mapped_column(Text)
    frequency: Mapped[Frequency | None] = mapped_column(stored(Frequency, "frequency", checked=False))
    topics: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(200))

    wording: Mapped[Wording | None] = relationship(foreign_keys=[wording_id])
    notice: Mapped[Wording | None] = relationship(foreign_keys=[notice_id])


class Suppression(Base):
    """A keyed hash of an address that no import may bring back, and nothing else of the person."""

    __tablename__ = "suppression"

    email_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[SuppressionReason] = mapped_column(stored(SuppressionReason, "reason"))
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


class Pepper(Base):
    """The key of all hashes of addresses, wrapped in a key of the settings (see `mailer.pepper`). One row."""

    __tablename__ = "pepper"

    id: Mapped[int] = mapped_column(primary_key=True)
    wrapped: Mapped[str] = mapped_column(Text)


class AuditEntry(Base):
    """Append-only: what an operator did, or had done. Names no address, so that an erasure need not look here."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    who: Mapped[str] = mapped_column(String(100))
    act: Mapped[str] = mapped_column(String(50))
    about: Mapped[str] = mapped_column(Text)


class Chore(Base):
    """What is done from time to time: when it was done last, and how far."""

    __tablename__ = "chore"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    done_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)


class Announcement(Base):
    __tablename__ = "announcement"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    key: Mapped[str] = mapped_column(String(100))
    type: Mapped[AnnouncementType] = mapped_column(stored(AnnouncementType, "type"))
    date: Mapped[dt.date]
    deadline: Mapped[dt.date | None]
    topics: Mapped[list[str]] = mapped_column(JSON, default=list)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    # Of one that was imported: what the page or the entry is known by, and a hash of what it said then.
    source: Mapped[str | None] = mapped_column(String(500))
    source_hash: Mapped[str | None] = mapped_column(String(64))

    translations: Mapped[list["AnnouncementTranslation"]] = relationship(
        order_by="AnnouncementTranslation.id", cascade="all, delete-orphan"
    )

    __table_args__ = (UniqueConstraint("list_id", "key"), Index(None, "list_id", "source", unique=True))

    def in_language(self, wanted: str) -> "AnnouncementTranslation | None":
        return next((text for text in self.translations if text.language == wanted), None)


class AnnouncementTranslation(Base):
    __tablename__ = "announcement_translation"

    id: Mapped[int] = mapped_column(primary_key=True)
    announcement_id: Mapped[int] = mapped_column(ForeignKey("announcement.id"))
    language: Mapped[str] = mapped_column(String(10))
    title: Mapped[str] = mapped_column(String(300))
    author: Mapped[str | None] = mapped_column(Text)
    summary: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)
    image: Mapped[str | None] = mapped_column(Text)
    image_alt: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        UniqueConstraint("announcement_id", "language"),
        CheckConstraint("title <> ''", name="title"),
    )


class DigestItem(Base):
    """`catches_up`: only for those to whom a change of frequency would have lost it; the digest is not about it."""

    __tablename__ = "digest_item"

    digest_id: Mapped[int] = mapped_column(ForeignKey("digest.id"), primary_key=True)
    announcement_id: Mapped[int] = mapped_column(ForeignKey("announcement.id"), primary_key=True, index=True)
    position: Mapped[int]
    catches_up: Mapped[bool] = mapped_column(default=False)

    announcement: Mapped[Announcement] = relationship()

    __table_args__ = (UniqueConstraint("digest_id", "position"),)


class Introduction(Base):
    """What stands before a digest's announcements, and the digest's title, in one language."""

    __tablename__ = "introduction"

    digest_id: Mapped[int] = mapped_column(ForeignKey("digest.id"), primary_key=True)
    language: Mapped[str] = mapped_column(String(10), primary_key=True)
    title: Mapped[str | None] = mapped_column(String(300))
    text: Mapped[str] = mapped_column(Text)


class Digest(Base):
    """From its approval on its words are those of `snapshot`, whatever becomes of the announcements (ADR 17)."""

    __tablename__ = "digest"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    slug: Mapped[str] = mapped_column(String(120))
    title: Mapped[str | None] = mapped_column(String(300))
    frequency: Mapped[Frequency | None] = mapped_column(stored(Frequency, "frequency"))
    state: Mapped[DigestState] = mapped_column(stored(DigestState, "state"), default=DigestState.DRAFT)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    # The subscriber up to whom its letters have been claimed: those beyond are queued and were never tried.
    cursor: Mapped[int] = mapped_column(default=0)
    rate: Mapped[int | None]  # letters a second, instead of the setting's
    again: Mapped[bool] = mapped_column(default=False)  # also for those who got its announcements before
    in_archive: Mapped[bool] = mapped_column(default=True)
    # The frozen words (see `mailer.digests.snapshot`). Large: read only where they are asked for.
    snapshot: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    sha256: Mapped[str | None] = mapped_column(String(64))  # of the snapshot
    revision: Mapped[int] = mapped_column(default=1)  # of the snapshot; each correction makes another
    erratum: Mapped[str | None] = mapped_column(Text)  # what a correction was about, for the readers of the archive
    corrected_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # When somebody last looked at it, and the checksum of the words that they saw in each language.
    previewed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    previewed: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    scheduled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    approved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # When it began to go out: since then anybody may read it in the archive, whatever becomes of it.
    published_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    mailing_list: Mapped[MailingList] = relationship()
    items: Mapped[list[DigestItem]] = relationship(order_by="DigestItem.position", cascade="all, delete-orphan")
    introductions: Mapped[list[Introduction]] = relationship(cascade="all, delete-orphan")
    editions: Mapped[list["Edition"]] = relationship(order_by="Edition.id", back_populates="digest")

    __table_args__ = (UniqueConstraint("list_id", "slug"), Index(None, "state"))

    def move(self, state: DigestState) -> None:
        """Raises NotAllowed for a step that a digest in this state can't take."""
        if state not in LEGAL_DIGEST_MOVES[self.state]:
            raise NotAllowed(f"digest {self.id} is {self.state} and can't become {state}")
        self.state = state

    @property
    def announcements(self) -> list[Announcement]:
        """As they are now; what the digest's readers see of them is told by `mailer.digests.snapshot`."""
        return [item.announcement for item in self.items]


class Edition(Base):
    """A letter rendered once for everybody who gets the same words. `content` holds its bytes with the slots marked.

    `selection` has a bit for each of the digest's items, in their order, that the edition holds.
    """

    __tablename__ = "edition"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    letter: Mapped[LetterKind] = mapped_column(stored(LetterKind, "letter"))
    language: Mapped[str] = mapped_column(String(10))
    digest_id: Mapped[int | None] = mapped_column(ForeignKey("digest.id"))
    selection: Mapped[int | None] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(default=1)  # of the digest's words
    subject: Mapped[str] = mapped_column(Text)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)

    digest: Mapped[Digest | None] = relationship(back_populates="editions")
    items: Mapped[list["EditionItem"]] = relationship()

    __table_args__ = (
        UniqueConstraint("digest_id", "language", "selection", "revision"),
        # One row for each wording of a letter that goes to one person at a time.
        Index(
            "uq_edition_letter",
            "list_id",
            "letter",
            "language",
            "sha256",
            unique=True,
            sqlite_where=text("digest_id IS NULL"),
            postgresql_where=text("digest_id IS NULL"),
        ),
        CheckConstraint("(letter = 'digest') = (digest_id IS NOT NULL)", name="digest"),
        CheckConstraint("(digest_id IS NULL) = (selection IS NULL)", name="selection"),
    )


class EditionItem(Base):
    """An announcement that an edition holds: whoever got that edition has had it."""

    __tablename__ = "edition_item"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    announcement_id: Mapped[int] = mapped_column(ForeignKey("announcement.id"), primary_key=True, index=True)


class Schedule(Base):
    """When the automatic digests of a frequency go out. `at`: see `mailer.digests.rhythm`."""

    __tablename__ = "schedule"

    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"), primary_key=True)
    frequency: Mapped[Frequency] = mapped_column(stored(Frequency, "frequency"), primary_key=True)
    at: Mapped[str] = mapped_column(String(20))  # empty: as soon as there is something
    set_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


class Window(Base):
    """A stretch of time whose announcements make one automatic digest: from its beginning on, up to its end and without
    it. A list's windows of a frequency leave no gap between them and do not overlap."""

    __tablename__ = "digest_window"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    frequency: Mapped[Frequency] = mapped_column(stored(Frequency, "frequency"))
    begins_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # None: there was nothing to send, or nobody to send it to.
    digest_id: Mapped[int | None] = mapped_column(ForeignKey("digest.id"), unique=True)
    passed_over: Mapped[bool] = mapped_column(default=False)  # nothing was scheduled then
    # When everybody was enlisted, or it was clear that there is nothing to send.
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    digest: Mapped[Digest | None] = relationship()

    __table_args__ = (
        UniqueConstraint("list_id", "frequency", "begins_at"),
        CheckConstraint("begins_at < ends_at", name="ends_at"),
    )


class WindowItem(Base):
    """The window of a frequency that an announcement belongs to. One that was being written while its window was closed
    belongs to the next: written down, so that it is neither lost nor sent twice."""

    __tablename__ = "window_item"

    announcement_id: Mapped[int] = mapped_column(ForeignKey("announcement.id", ondelete="CASCADE"), primary_key=True)
    frequency: Mapped[Frequency] = mapped_column(stored(Frequency, "frequency"), primary_key=True)
    window_id: Mapped[int] = mapped_column(ForeignKey("digest_window.id"), index=True)


class MailServer(Base):
    """What the mail server offered when it was last spoken to."""

    __tablename__ = "mail_server"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)  # host:port
    international: Mapped[bool]  # SMTPUTF8
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


class Pace(Base):
    """Turns that all senders take together: of a rate, or of a provider that is not to be hurried. Times are seconds
    since 1970, by the database's clock."""

    __tablename__ = "pace"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    free_at: Mapped[float]  # until when its turns are taken
    tail_at: Mapped[float]  # until when letters that got none have been told to come again
    # Of a provider that complained: how many letters a second it is trusted with, and since when.
    rate: Mapped[float | None]
    slowed_at: Mapped[float | None]


class Run(Base):
    """A sender at work in a scope (a digest, or the letters that belong to none), or one that died at it: it is there
    for as long as rows of the ledger are its own. Those of one scope have a seat each."""

    __tablename__ = "run"

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(String(32), unique=True, default=fresh_uid)  # names its journal
    digest_id: Mapped[int | None] = mapped_column(ForeignKey("digest.id"))
    seat: Mapped[int] = mapped_column(default=0)
    host: Mapped[str] = mapped_column(String(255))
    folder: Mapped[str] = mapped_column(String(32), default="")  # names the folder that holds its journal
    begun_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    beat_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    journaled: Mapped[int] = mapped_column(BigInteger, default=0)  # octets that its journal held at the last beat
    rate: Mapped[float] = mapped_column(default=0.0)  # letters accepted a second, lately
    sessions: Mapped[int] = mapped_column(default=0)  # connections to the mail server that were open at the last beat

    __table_args__: Any = ({"sqlite_autoincrement": True},)  # no number is given twice


class Delivery(Base):
    """One letter to one person: the row in the ledger that says what became of it.

    A letter of a digest that was never tried is found by the digest's cursor; every other one that waits has `next_at`.
    """

    __tablename__ = "delivery"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"))
    digest_id: Mapped[int | None] = mapped_column(ForeignKey("digest.id"))
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscriber.id"), index=True)
    state: Mapped[DeliveryState] = mapped_column(stored(DeliveryState, "state"), default=DeliveryState.QUEUED)
    # No foreign key: without an index, which every claim would have to keep, removing a run would search all rows.
    run_id: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    next_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    first_tried_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    resent: Mapped[bool] = mapped_column(default=False)
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reply: Mapped[str | None] = mapped_column(Text)

    edition: Mapped[Edition] = relationship()
    subscriber: Mapped[Subscriber] = relationship()

    __table_args__: Any = (
        UniqueConstraint("digest_id", "subscriber_id"),
        # What waits for a time. No index names the state, so that claiming and settling touch none (on PostgreSQL
        # such an update stays on its page).
        Index(
            "ix_delivery_next_at",
            "digest_id",
            "next_at",
            sqlite_where=text("next_at IS NOT NULL"),
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        CheckConstraint("attempts >= 0", name="attempts"),
        CheckConstraint("state <> 'deferred' OR next_at IS NOT NULL", name="next_at"),
        CheckConstraint("(state = 'sending') = (run_id IS NOT NULL)", name="run_id"),
        {"postgresql_with": {"fillfactor": 60}},
    )


class Throttle(Base):
    """How often something was done in a slice of time that ends `at`. Keys name nobody: they are keyed hashes."""

    __tablename__ = "throttle"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    count: Mapped[int]
    until: Mapped[datetime] = mapped_column(UTCDateTime, index=True)  # when no limit looks at it any more
