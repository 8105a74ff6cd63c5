"""When automatic digests go out (D-180), over the days on which clocks are changed."""

import calendar
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.digests.rhythm import Rhythm, parse
from mailer.errors import BadInput
from mailer.states import Frequency

WEEKLY, MONTHLY = Frequency.WEEKLY, Frequency.MONTHLY
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")

rhythms = st.one_of(
    st.builds(
        Rhythm, st.just(WEEKLY), st.integers(0, 6), st.times().map(lambda at: at.replace(second=0, microsecond=0))
    ),
    st.builds(
        Rhythm, st.just(MONTHLY), st.integers(1, 31), st.times().map(lambda at: at.replace(second=0, microsecond=0))
    ),
)
moments = st.datetimes(datetime(2009, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
zones = st.sampled_from(ZONES).map(ZoneInfo)


@pytest.mark.parametrize(
    ("text", "frequency", "zone", "after", "expected"),
    [
        ("Sat 08:30", WEEKLY, "Europe/Paris", "2026-03-24T00:00Z", "2026-03-28T07:30Z"),
        ("Sat 08:30", WEEKLY, "Europe/Paris", "2026-03-28T07:30Z", "2026-04-04T06:30Z"),
        ("saturday 8:30", WEEKLY, "Europe/Paris", "2026-03-28T07:29Z", "2026-03-28T07:30Z"),
        ("Sun 02:30", WEEKLY, "Europe/Paris", "2026-03-28T12:00Z", "2026-03-29T01:30Z"),  # skipped: 03:30 in summer
        ("Sun 02:30", WEEKLY, "Europe/Paris", "2026-10-24T12:00Z", "2026-10-25T00:30Z"),  # doubled: in summer still
        ("Sun 02:30", WEEKLY, "Europe/Paris", "2026-10-25T00:30Z", "2026-11-01T01:30Z"),  # and only once
        ("31 08:30", MONTHLY, "UTC", "2026-01-31T08:30Z", "2026-02-28T08:30Z"),
        ("31 08:30", MONTHLY, "UTC", "2028-02-01T00:00Z", "2028-02-29T08:30Z"),
        ("1 00:00", MONTHLY, "Asia/Tokyo", "2026-12-15T00:00Z", "2026-12-31T15:00Z"),
    ],
)
def test_the_next_moment(text: str, frequency: Frequency, zone: str, after: str, expected: str) -> None:
    """D-180"""
    found = parse(frequency, text).next(datetime.fromisoformat(after), ZoneInfo(zone))
    assert found == datetime.fromisoformat(expected)


@given(rhythms, moments, zones)
def test_moments_follow_each_other_without_a_gap(rhythm: Rhythm, at: datetime, zone: ZoneInfo) -> None:
    """D-180: the last up to a moment, and the first after it, are neighbours."""
    last, following = rhythm.last(at, zone), rhythm.next(at, zone)
    assert last <= at < following
    assert rhythm.next(last, zone) == following
    assert rhythm.last(following, zone) == following
    assert following - last <= timedelta(days=33)


@given(rhythms, moments, zones)
def test_a_moment_is_at_its_time_on_its_day(rhythm: Rhythm, at: datetime, zone: ZoneInfo) -> None:
    local = rhythm.next(at, zone).astimezone(zone)
    named = datetime.combine(local.date(), rhythm.time, zone)
    if named.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != named.replace(tzinfo=None):
        return  # the clocks leave it out that day
    assert local.time().replace(tzinfo=None) == rhythm.time or local.date() != named.date()
    if rhythm.frequency is WEEKLY:
        assert local.weekday() == rhythm.day
    else:
        assert local.day == min(rhythm.day, calendar.monthrange(local.year, local.month)[1])


@pytest.mark.parametrize("text", ["Sat 08:30", "Mon 00:00"])
def test_a_rhythm_is_written_as_it_is_read(text: str) -> None:
    assert str(parse(WEEKLY, text)) == text
    assert parse(MONTHLY, "7 23:59") == Rhythm(MONTHLY, 7, time(23, 59))


@pytest.mark.parametrize(
    ("frequency", "text"),
    [(WEEKLY, each) for each in ("", "08:30", "Sat", "Sat 24:00", "Sat 8:60", "1 08:30", "S 08:30", "Sat 08:30 UTC")]
    + [(MONTHLY, each) for each in ("0 08:30", "32 08:30", "Sat 08:30", "-1 08:30", "1 0830")],
)
def test_what_is_no_time_is_refused(frequency: Frequency, text: str) -> None:
    with pytest.raises(BadInput, match="write it like"):
        parse(frequency, text)
