"""Every text a reader can meet exists in every language that is offered, D-192."""

import gettext
import re
import unicodedata
from collections.abc import Callable

import pytest
from babel import Locale
from babel.messages.catalog import Message

from mailer.config import Config
from mailer.languages import offered

from .. import catalogues

CODES = tuple(catalogues.every())
SCRIPTS = {"ar": "ARABIC", "ru": "CYRILLIC", "zh": "CJK"}
# Short words that are the same in both languages, and what has no words at all.
SAME = {"Pause", "Publication", "Error: %(title)s", "%(list)s, %(date)s"}
ISOLATED = re.compile("\u2068%\\((?P<name>\\w+)\\)[sd]\u2069")
COPIED = {"address", "url", "num"}  # what people copy must hold nothing invisible


def messages(code: str) -> list[Message]:
    return [message for message in catalogues.read(code) if message.id]


def forms(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def source(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[-1]


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\((\w+)\)[sd]", text))


def plural(code: str) -> Callable[[int], int]:
    """Which form a number takes by the catalogue's own header."""
    return gettext.c2py(catalogues.read(code).plural_expr)  # type: ignore[attr-defined, no-any-return]


def test_the_six_languages_of_the_united_nations_are_offered() -> None:
    assert offered(Config.languages) == ("en", "fr", "es", "ru", "ar", "zh")
    assert set(CODES) == {"fr", "es", "ru", "ar", "zh"}


@pytest.mark.parametrize("code", CODES)
def test_no_message_is_missing_fuzzy_or_left_over(code: str) -> None:
    have = {message.id: message for message in messages(code)}
    wanted = {message.id for message in catalogues.texts() if message.id}
    assert set(have) == wanted
    assert [id for id, message in have.items() if not all(forms(message))] == []
    assert [id for id, message in have.items() if message.fuzzy] == []


@pytest.mark.parametrize("code", CODES)
def test_no_message_is_left_in_english(code: str) -> None:
    same = {source(message) for message in messages(code) if source(message) in forms(message)}
    assert same <= SAME
    for message in messages(code):
        for text in forms(message) if code in SCRIPTS and source(message) not in SAME else ():
            assert any(unicodedata.name(letter, "").startswith(SCRIPTS[code]) for letter in text), text


@pytest.mark.parametrize("code", CODES)
def test_every_translation_keeps_the_placeholders(code: str) -> None:
    """Only a form that is for one number alone may say it in a word: Arabic has one for two."""
    form_of = plural(code)
    numbers = [[n for n in range(1000) if form_of(n) == form] for form in range(catalogues.read(code).num_plurals)]
    for message in messages(code):
        wanted = placeholders(source(message))
        for text, meant in zip(forms(message), numbers, strict=False):
            said = placeholders(text)
            in_a_word = message.pluralizable and len(meant) == 1 and sorted([*said, "num"]) == wanted
            assert said == wanted or in_a_word, message.id


@pytest.mark.parametrize("code", CODES)
def test_the_plural_forms_are_those_of_the_language(code: str) -> None:
    """The header's rule parts the numbers as Unicode's does, and each plural message has all its forms."""
    form_of, category_of = plural(code), Locale.parse(code).plural_form
    pairs = {(form_of(number), category_of(number)) for number in range(1000)}
    count = catalogues.read(code).num_plurals
    assert len(pairs) == len({form for form, _ in pairs}) == len({category for _, category in pairs}) == count
    assert {len(forms(message)) for message in messages(code) if message.pluralizable} == {count}


def test_arabic_has_six_plural_forms_and_russian_three() -> None:
    assert {code: catalogues.read(code).num_plurals for code in CODES} == {"ar": 6, "es": 2, "fr": 2, "ru": 3, "zh": 1}


def test_names_and_titles_in_arabic_stand_apart_from_the_words_around_them() -> None:
    """D-20: else a Latin name, a number and the full stop behind it change places."""
    for message in messages("ar"):
        for text in forms(message):
            assert set(ISOLATED.findall(text)) == set(placeholders(text)) - COPIED, text
            assert text.count("\u2068") == text.count("\u2069") == len(ISOLATED.findall(text)), text


@pytest.mark.parametrize("code", CODES)
def test_a_translation_is_written_as_its_language_is(code: str) -> None:
    for message in messages(code):
        for text in forms(message):
            assert text == text.strip() == unicodedata.normalize("NFC", text)
            assert source(message).endswith(":") == text.endswith((":", "：")), text
            assert not re.search(r'["\']|\.\.\.|!|！', text), text
            assert code != "fr" or not re.search(r"[^\s\u202f\u00a0][;:?](?: |$)| [;:?](?: |$)", text), text
            assert code != "zh" or not re.search(r"[\u4e00-\u9fff][,;:?!]", text), text
            assert code != "ar" or not re.search(r"[\u0600-\u06ff][,;?]|[٠-٩]", text), text
