"""Every text a reader can meet exists in every language that is offered."""

import re

import pytest

from mailer.config import Config
from mailer.languages import offered

from .. import catalogues


def test_english_and_french_are_offered_first() -> None:
    assert offered(Config.languages)[:2] == ("en", "fr")


@pytest.mark.parametrize("code", catalogues.every())
def test_no_message_is_missing_fuzzy_or_left_over(code: str) -> None:
    have = {message.id: message for message in catalogues.read(code) if message.id}
    wanted = {message.id for message in catalogues.texts() if message.id}
    assert set(have) == wanted
    empty = [id for id, message in have.items() if not all([message.string] if isinstance(id, str) else message.string)]
    assert empty == []
    assert [id for id, message in have.items() if message.fuzzy] == []


@pytest.mark.parametrize("code", catalogues.every())
def test_every_translation_keeps_the_placeholders(code: str) -> None:
    for message in catalogues.read(code):
        if message.id:
            originals = [message.id] if isinstance(message.id, str) else message.id
            strings = [message.string] if isinstance(message.string, str) else message.string
            wanted = set(re.findall(r"%\(\w+\)[sd]", originals[-1]))
            for string in strings:
                assert set(re.findall(r"%\(\w+\)[sd]", str(string))) == wanted, message.id
