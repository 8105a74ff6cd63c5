"""The states and kinds that rows can be in, as the words stand in the database, and which moves are legal."""

from enum import StrEnum


class SubscriptionState(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class EndedReason(StrEnum):
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    ERASED = "erased"
    EXPIRED = "expired"


class Frequency(StrEnum):
    IMMEDIATE = "immediate"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class ConsentKind(StrEnum):
    ASKED = "asked"
    CONFIRMED = "confirmed"
    IMPORTED = "imported"
    CHANGED = "changed"
    UNSUBSCRIBED = "unsubscribed"
    RESUMED = "resumed"  # leaving was a mistake
    MOVED = "moved"  # another address takes this one's place
    NOT_ME = "not-me"
    NOT_ME_UNDONE = "not-me-undone"


class LeavingReason(StrEnum):
    TOO_OFTEN = "too-often"
    NOT_RELEVANT = "not-relevant"
    NEVER_SIGNED_UP = "never-signed-up"
    OTHER = "other"


class WordingKind(StrEnum):
    SIGN_UP = "sign-up"
    PRIVACY_NOTICE = "privacy-notice"


class SuppressionReason(StrEnum):
    ASKED = "asked"  # never to be written to again, not even after a sign-up
    LEFT = "left"  # so long ago that nothing else is known; their own sign-up brings them back


class AnnouncementType(StrEnum):
    NEWS = "news"
    CALL = "call"
    PUBLICATION = "publication"
    EVENT = "event"


class LetterKind(StrEnum):
    DIGEST = "digest"
    CONFIRMATION = "confirmation"
    ALREADY_SUBSCRIBED = "already-subscribed"
    MANAGE_LINK = "manage-link"
    ADDRESS_CHANGE = "address-change"
    GOODBYE = "goodbye"


class DigestState(StrEnum):
    DRAFT = "draft"
    APPROVED = "approved"
    SENDING = "sending"
    PAUSED = "paused"
    SENT = "sent"
    CANCELLED = "cancelled"


class DeliveryState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


LEGAL_DIGEST_MOVES: dict[DigestState, frozenset[DigestState]] = {
    DigestState.DRAFT: frozenset({DigestState.APPROVED, DigestState.CANCELLED}),
    DigestState.APPROVED: frozenset({DigestState.SENDING, DigestState.CANCELLED}),
    DigestState.SENDING: frozenset({DigestState.PAUSED, DigestState.SENT, DigestState.CANCELLED}),
    DigestState.PAUSED: frozenset({DigestState.SENDING, DigestState.CANCELLED}),
    DigestState.SENT: frozenset({DigestState.SENDING}),  # doubtful letters that are sent again
    DigestState.CANCELLED: frozenset(),
}
