"""A digest's words. A draft's are those of its announcements as they are now; at its approval they are frozen, and
whatever becomes of the announcements changes them no more (ADR 17)."""

import datetime as dt
import hashlib
import json
from collections.abc import Collection
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy import types as sql

from mailer.db import Base
from mailer.models import Announcement, AnnouncementTranslation, Digest, DigestItem, Introduction

# What of a row is no word of the digest's.
NOT_WORDS = {"list_id", "created_at", "announcement_id", "digest_id", "source", "source_hash"}
# Came later: left out where it says nothing, so that words frozen before that are still the same ones.
ADDED = {"author"}
Row = TypeVar("Row", bound=Base)


def freeze(digest: Digest) -> None:
    """Keep the words as they are now."""
    digest.snapshot = taken(digest)
    digest.sha256 = sha256(digest.snapshot)


def taken(digest: Digest) -> dict[str, Any]:
    return {
        "title": digest.title,
        "introductions": [frozen(each) for each in digest.introductions],
        "announcements": [frozen_item(item) for item in digest.items],
    }


def checksum(digest: Digest) -> str:
    """Of the words as they are. Those that were approved before approval froze them are as they are now."""
    return digest.sha256 or sha256(taken(digest))


def sha256(words: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(words, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def frozen_item(item: DigestItem) -> dict[str, Any]:
    translations = [frozen(text) for text in item.announcement.translations]
    return {**frozen(item.announcement), "translations": translations, "catches_up": item.catches_up}


def frozen(row: Base) -> dict[str, Any]:
    """A row's columns as JSON."""
    names = [each.key for each in inspect(type(row)).column_attrs if each.key not in NOT_WORDS]
    words = {name: plain(getattr(row, name)) for name in names}
    return {name: word for name, word in words.items() if word is not None or name not in ADDED}


def plain(value: Any) -> Any:
    if isinstance(value, dt.date):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value


def thawed(model: type[Row], words: dict[str, Any]) -> Row:
    """A row that is in no database: to be read only. What it was frozen with and has a column no more is left out."""
    columns = inspect(model).columns
    return model(**{name: revived(columns[name].type, words[name]) for name in words if name in columns})


def revived(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, sql.Date):
        return dt.date.fromisoformat(value)
    return kind.enum_class(value) if isinstance(kind, sql.Enum) and kind.enum_class else value


def announcements(digest: Digest, selection: Collection[int] | None = None) -> list[Announcement]:
    """In their order: those with these ids, else those that the digest is about, if it is about any."""
    if digest.snapshot is None:
        found = [(item.announcement, item.catches_up) for item in digest.items]
    else:
        found = [(thawed_announcement(each), each["catches_up"]) for each in digest.snapshot["announcements"]]
    if selection is None:
        about = [announcement for announcement, catches_up in found if not catches_up]
        return about or [announcement for announcement, _ in found]
    return [announcement for announcement, _ in found if announcement.id in selection]


def thawed_announcement(words: dict[str, Any]) -> Announcement:
    announcement = thawed(Announcement, words)
    announcement.translations = [thawed(AnnouncementTranslation, text) for text in words["translations"]]
    return announcement


def introductions(digest: Digest) -> list[Introduction]:
    if digest.snapshot is None:
        return list(digest.introductions)
    return [thawed(Introduction, each) for each in digest.snapshot["introductions"]]
