"""What an inbox shows of a digest: its subject and its preheader (D-185)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.digests.headlines import preheader, shortened, subject

LIST = "Frontier Technologies, 2 Mar"
LONG = "Eighth WIPO Conversation takes stock of generative AI"


@pytest.mark.parametrize(
    ("lead", "endings", "expected"),
    [
        ("What 160 countries said", (LIST, "2 Mar"), f"What 160 countries said · {LIST}"),
        (LONG, (LIST, "2 Mar"), f"Eighth WIPO Conversation… · {LIST}"),
        (
            LONG,
            ("A list with quite a long name of its own, 2 Mar", "2 Mar"),
            "Eighth WIPO Conversation takes stock of generative… · 2 Mar",
        ),
        ("Short", ("x" * 90,), "Short"),
        ("征求意见" * 20, (LIST,), f"{('征求意见' * 20)[:28]}… · {LIST}"),
    ],
)
def test_a_subject_says_what_comes_first_then_of_which_list_and_day(
    lead: str, endings: tuple[str, ...], expected: str
) -> None:
    assert subject(lead, *endings) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            ["A summary that is long enough to stand by itself.", "Other"],
            "A summary that is long enough to stand by itself.",
        ),
        (["Short.", "The next title", "The one after that", "Last"], "Short. · The next title · The one after that"),
        (["", "Title", "The list, 2 March"], "Title · The list, 2 March"),
        (["Same", "Same", "Other"], "Same · Other"),
        (["https://example.org/x says so", "www.example.org"], "says so"),
        (["word " * 40], "word " * 21 + "word…"),
    ],
)
def test_a_preheader_says_what_the_subject_does_not(parts: list[str], expected: str) -> None:
    assert preheader(parts) == expected


@given(st.lists(st.text(), min_size=1), st.text(), st.text())
def test_both_keep_to_their_length_and_no_preheader_begins_with_an_address(
    parts: list[str], lead: str, ending: str
) -> None:
    assert len(subject(lead, ending)) <= 60
    assert len(preheader(parts)) <= 110
    assert not preheader(["http://e.org", *parts]).startswith("http://e.org")


@given(st.text(min_size=1), st.integers(2, 80))
def test_what_is_cut_says_so(text: str, room: int) -> None:
    cut = shortened(text, room)
    assert len(cut) <= room
    assert cut == text or cut.endswith("…")
