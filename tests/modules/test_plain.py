"""What makes the text part of letters pleasant to read."""

import pytest

from mailer.letters.plain import columns, from_the_right, tidy, underlined


@pytest.mark.parametrize(
    ("text", "wide"),
    [("", 0), ("abc", 3), ("新报告：", 8), ("كُتُب", 3), ("e\u0301", 1), ("\u2068a\u2069", 1), ("“x”", 3)],
)
def test_a_text_takes_the_room_of_its_characters(text: str, wide: int) -> None:
    assert columns(text) == wide


def test_a_heading_is_underlined_to_its_width_and_no_further_than_a_narrow_window() -> None:
    assert underlined("本期简报", "=") == "本期简报\n========"
    assert underlined("x" * 100, "-") == "x" * 100 + "\n" + "-" * 72


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("WIPO تدعو", True),
        ("1. WIPO تدعو", True),
        ("تدعو WIPO", False),
        ("WIPO", False),
        ("https://example.org/ar", False),
        ("", False),
    ],
)
def test_a_right_to_left_line_that_begins_with_a_latin_name_is_marked(line: str, *, marked: bool) -> None:
    """D-191."""
    assert from_the_right(line) == ("\u200f" + line if marked else line)


def test_there_is_at_most_one_empty_line_and_none_at_the_ends() -> None:
    assert tidy("\n\na  \n\n\n\nb\n-- \nc\n\n") == "a\n\nb\n-- \nc\n"
