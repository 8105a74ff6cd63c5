"""Days as pages write them: 22 September 2023, September 22, 2023, 22 de septiembre de 2023, 2023年9月22日"""

import datetime as dt
import re
from collections.abc import Sequence
from functools import cache

from babel.dates import get_month_names

from mailer.languages import exists

# Where Arabic is written, months have one of two families of names, or both: أيلول/سبتمبر.
RELATED = {"ar": ("ar_SY",)}
NUMERIC = (
    re.compile(r"(?<!\d)(?P<y>\d{4})\s*[年년]\s*(?P<m>\d{1,2})\s*[月월]\s*(?P<d>\d{1,2})\s*[日일]"),
    re.compile(r"(?<![\d/-])(?P<y>\d{4})(?P<by>[-/])(?P<m>\d{2})(?P=by)(?P<d>\d{2})(?!\d)"),
    re.compile(r"(?<![\d.])(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.\s?(?P<y>\d{4})(?!\d)"),
)
SLASHED = re.compile(r"(?<![\d/])(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<y>\d{4})(?!\d)")


def find(text: str, languages: Sequence[str]) -> dt.date | None:
    """The first whole day in a text. None for one that can't be told, like 3/4/2023, or that ends a span."""
    for pattern in (*NUMERIC, *named(tuple(languages))):
        if found := pattern.search(text):
            month = months(tuple(languages)).get(key(found["m"])) or found["m"]
            return day(int(found["y"]), int(month), int(found["d"]))
    if found := SLASHED.search(text):
        first, second = int(found["a"]), int(found["b"])
        if first > 12 or second > 12 or first == second:
            return day(int(found["y"]), min(first, second), max(first, second))
    return None


def day(year: int, month: int, number: int) -> dt.date | None:
    """None for one that can't be, or can't be a page's: none is older than the web."""
    try:
        return dt.date(year, month, number) if 1990 <= year <= 2100 else None
    except ValueError:
        return None


@cache
def named(languages: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    names = "|".join(re.escape(name) for name in sorted(months(languages), key=len, reverse=True))
    month = rf"(?:[^\W\d_]+/)?(?P<m>{names})(?![^\W\d_])\.?"
    number = r"(?<![\d:/.])(?<!\d[-–—])(?<!\d\s[-–—]\s)(?P<d>\d{1,2})(?![\d:])"
    return (
        re.compile(
            rf"{number}(?:st|nd|rd|th|er|º|\.)?\s+(?:de\s+|of\s+)?{month},?\s+(?:de\s+|del\s+)?(?P<y>\d{{4}})(?!\d)",
            re.I,
        ),
        re.compile(rf"(?<![^\W\d_]){month}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>\d{{4}})(?!\d)", re.I),
    )


@cache
def months(languages: tuple[str, ...]) -> dict[str, int]:
    """Names, short names and their forms after a day's number, to the month's number."""
    codes = [each for code in languages if exists(code) for each in (code, *RELATED.get(code, ()))]
    return {
        key(name): number
        for code in codes
        for width in ("wide", "abbreviated")
        for context in ("format", "stand-alone")
        for number, name in get_month_names(width, context, code).items()
        if not name[0].isdigit()
    }


def key(name: str) -> str:
    return name.casefold().rstrip(".")
