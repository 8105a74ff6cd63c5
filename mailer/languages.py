"""The languages of pages and letters: a language is offered when it is configured and has a catalogue."""

import datetime as dt
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from babel.units import format_unit
from flask_babel import Babel, Domain, get_locale, get_timezone

SOURCE = "en"  # the language that the texts in templates and code are written in
REGIONS = {"en": "en_001"}  # English of the world, not of the United States: 31 January 2026
CATALOGUES = Path(__file__).parent / "translations"


@dataclass(frozen=True)
class Language:
    code: str
    name: str  # in the language itself
    direction: str  # ltr or rtl


UNKNOWN = Language("", "", "auto")


@cache
def language(code: str) -> Language:
    locale = Locale.parse(code)
    name = locale.get_display_name(locale) or code
    return Language(code, name[0].upper() + name[1:], locale.text_direction)


def name_in(code: str, reader: str) -> str:
    """A language's name in the reader's own: `français` to a French reader, `French` to an English one."""
    return Locale.parse(code).get_display_name(reader) or code


def day(value: dt.date) -> str:
    """A date as readers of the language in force write it; a moment is dated in the list's time zone."""
    local = value.astimezone(get_timezone()) if isinstance(value, dt.datetime) else value
    return day_in(local, str(get_locale() or SOURCE))


def days(number: int) -> str:
    """`28 days`, or `3 years` for 1095, as readers of the language in force write it."""
    years, rest = divmod(number, 365)
    count, unit = (number, "day") if rest else (years, "year")
    return format_unit(count, f"duration-{unit}", locale=str(get_locale() or SOURCE))


def day_in(value: dt.date, code: str) -> str:
    return format_date(value, "long", locale=REGIONS.get(code, code))


def short_day_in(value: dt.date, code: str) -> str:
    """Without the year, for a line that has little room."""
    return str(format_skeleton("MMMd", value, locale=REGIONS.get(code, code)))


def moment_in(value: dt.datetime, code: str) -> str:
    """A moment in UTC. Letters say the zone, since their readers live in all of them."""
    at = value.astimezone(dt.UTC)
    together = str(Locale.parse(REGIONS.get(code, code)).datetime_formats["medium"])  # with what stands between the two
    return together.format(f"{at:%H:%M} UTC", day_in(at, code))


def catalogue(code: str) -> Path:
    return CATALOGUES / code / "LC_MESSAGES" / "messages.po"


def exists(code: str) -> bool:
    """Whether `code` is a language that dates and numbers can be written in."""
    try:
        Locale.parse(code)
    except (UnknownLocaleError, ValueError):
        return False
    return True


@cache
def offered(configured: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the configured languages that pages and letters exist in, in the same order."""
    return tuple(code for code in configured if code == SOURCE or (exists(code) and catalogue(code).exists()))


@cache
def translations(code: str) -> NullTranslations:
    """A language's catalogue, compiled in memory: a translator's file works without a build step."""
    if code == SOURCE or not catalogue(code).exists():
        return NullTranslations()
    compiled = io.BytesIO()
    with catalogue(code).open("rb") as file:
        write_mo(compiled, read_po(file, locale=code))
    compiled.seek(0)
    return Translations(compiled)


class Catalogues(Domain):  # type: ignore[misc]  # Flask-Babel has no types
    """Flask-Babel's messages, read from our .po files."""

    def get_translations(self) -> NullTranslations:
        return translations(str(get_locale() or SOURCE))


class Languages(Babel):  # type: ignore[misc]  # as above
    @property
    def domain_instance(self) -> Any:
        return Catalogues()
