"""When automatic digests go out, in the list's time zone. Pure: a rhythm and a moment in, a moment out.

Where the clocks are put forward over a time, it is as much later as they jump (02:30 becomes 03:30); where they are put
back over it, the first of its two moments counts.
"""

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from mailer.errors import BadInput
from mailer.states import Frequency

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXAMPLES = {Frequency.WEEKLY: "Sat 08:30", Frequency.MONTHLY: "1 08:30"}


@dataclass(frozen=True)
class Rhythm:
    """`day`: of the week, from Monday = 0, or of the month. A month without that day has its last instead."""

    frequency: Frequency
    day: int
    time: dt.time

    def __str__(self) -> str:
        return f"{DAYS[self.day] if self.frequency is Frequency.WEEKLY else self.day} {self.time:%H:%M}"

    def last(self, at: datetime, zone: ZoneInfo) -> datetime:
        """The last moment up to `at`."""
        day = at.astimezone(zone).date() + timedelta(days=1)
        while (found := moment(self.day_before(day), self.time, zone)) > at:
            day = found.astimezone(zone).date()
        return found

    def next(self, at: datetime, zone: ZoneInfo) -> datetime:
        """The first moment after `at`."""
        day = at.astimezone(zone).date() - timedelta(days=1)
        while (found := moment(self.day_from(day), self.time, zone)) <= at:
            day = self.day_from(day) + timedelta(days=1)
        return found

    def day_from(self, day: dt.date) -> dt.date:
        """The rhythm's first day from `day` on."""
        if self.frequency is Frequency.WEEKLY:
            return day + timedelta(days=(self.day - day.weekday()) % 7)
        found = self.in_month(day)
        return found if found >= day else self.in_month(first_of_next(day))

    def day_before(self, day: dt.date) -> dt.date:
        """The rhythm's last day before `day`."""
        if self.frequency is Frequency.WEEKLY:
            return day - timedelta(days=(day.weekday() - self.day - 1) % 7 + 1)
        found = self.in_month(day)
        return found if found < day else self.in_month(day.replace(day=1) - timedelta(days=1))

    def in_month(self, day: dt.date) -> dt.date:
        return day.replace(day=min(self.day, calendar.monthrange(day.year, day.month)[1]))


def first_of_next(day: dt.date) -> dt.date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def moment(day: dt.date, time: dt.time, zone: ZoneInfo) -> datetime:
    """In UTC. What a time means that the clocks leave out or show twice is as PEP 495 has it for `fold=0`."""
    return datetime.combine(day, time, zone).astimezone(UTC)


def parse(frequency: Frequency, text: str) -> Rhythm:
    """From "Sat 08:30" or "1 08:30". Raises BadInput."""
    found = re.fullmatch(r"\s*(\w+)\s+(\d{1,2}):(\d{2})\s*", text)
    day = day_number(frequency, found[1]) if found else None
    if found is None or day is None or int(found[2]) > 23 or int(found[3]) > 59:
        raise BadInput(f"{text!r} is no time of a {frequency} digest: write it like {EXAMPLES[frequency]!r}")
    return Rhythm(frequency, day, dt.time(int(found[2]), int(found[3])))


def day_number(frequency: Frequency, word: str) -> int | None:
    if frequency is Frequency.WEEKLY:
        names = [name for name in calendar.day_name if len(word) >= 3 and name.lower().startswith(word.lower())]
        return list(calendar.day_name).index(names[0]) if names else None
    return int(word) if re.fullmatch(r"\d{1,2}", word) and 1 <= int(word) <= 31 else None
