"""The list's time zone (`TIMEZONE`), in which people read and type days and times; the database has UTC only."""

import datetime as dt
from zoneinfo import ZoneInfo

from mailer.config import settings
from mailer.db import now


def zone() -> ZoneInfo:
    return ZoneInfo(settings().timezone)


def local(at: dt.datetime) -> dt.datetime:
    return at.astimezone(zone())


def today() -> dt.date:
    return local(now()).date()
