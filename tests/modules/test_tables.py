"""Tables in files: whatever is written is read back, in every usual encoding, and no spreadsheet runs it."""

import csv
import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import addresses
from mailer.errors import BadAddress, BadInput
from mailer.states import EndedReason, Frequency, SubscriptionState
from mailer.subscriptions.exporting import cells
from mailer.subscriptions.importing import COLUMNS, Row, parse_row
from mailer.subscriptions.tables import TableWriter, guard, known_encoding, open_table, unguard

FORMULA = "=+-@\t\r\0"
CELL = st.text(st.characters(codec="utf-8"), max_size=20)
NASTY = st.builds(str.__add__, st.text("'=+-@\t\r\0", max_size=4), CELL)


@given(CELL | NASTY)
def test_a_guarded_cell_is_no_formula_and_nothing_is_lost(cell: str) -> None:
    """D-167"""
    assert guard(cell)[:1] not in FORMULA or not cell
    assert unguard(guard(cell)) == cell


@given(st.lists(st.lists(NASTY | CELL, min_size=2, max_size=2), max_size=5), st.sampled_from(["utf-8", "utf-8-sig"]))
def test_what_is_written_is_read_back(rows: list[list[str]], encoding: str) -> None:
    """D-167: line breaks, quotes and separators in cells too."""
    text = io.StringIO(newline="")
    table = TableWriter(text)
    for row in [["email", "note"], *rows]:
        table.write(row)
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_text(text.getvalue(), encoding=encoding, newline="")
        found = open_table(path)
        full = [row for row in rows if any(cell.strip() for cell in map(guard, row))]
        assert [cells for _, cells in found.rows()] == full
        assert found.count == len(full)


MOMENT = st.datetimes(datetime(2000, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC))
LOCAL = st.text("abc'=+-/!#$%&*?^_`{|}~019.", min_size=1, max_size=20)
WORD = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True).filter(lambda word: len(word) <= 100)
SOURCE = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=80)


@st.composite
def people(draw: st.DrawFn) -> Row:
    try:
        address = addresses.parse(f"{draw(LOCAL)}@{draw(st.sampled_from(['example.org', 'exämple.org', 'x.ch']))}")
    except BadAddress:
        address = addresses.parse("=cmd@gmail.com")
    state = draw(st.sampled_from(SubscriptionState))
    ended = state is SubscriptionState.ENDED
    confirmed = state is SubscriptionState.CONFIRMED or (ended and draw(st.booleans()))
    return Row(
        address=address,
        language=draw(st.sampled_from(["en", "fr", "ar"])),
        frequency=draw(st.sampled_from(Frequency)),
        topics=tuple(draw(st.lists(WORD, max_size=3))),
        consent_at=draw(MOMENT),
        source=draw(SOURCE),
        state=state,
        requested_at=draw(MOMENT),
        confirmed_at=draw(MOMENT) if confirmed else None,
        ended_at=draw(MOMENT) if ended else None,
        ended_reason=draw(st.sampled_from(EndedReason)) if ended else None,
    )


@given(people())
def test_a_person_who_is_exported_is_imported_as_they_were(person: Row) -> None:
    """D-130, D-167: state, choices, dates and evidence, whatever the address looks like."""
    text = io.StringIO(newline="")
    TableWriter(text).write(cells(person))
    read = next(csv.reader(io.StringIO(text.getvalue(), newline="")))
    given_ = dict(zip(COLUMNS, map(unguard, read), strict=True))
    assert parse_row(given_, ["en", "fr", "ar"], datetime(2026, 6, 1, tzinfo=UTC)) == person


def table(tmp_path: Path, octets: bytes) -> Path:
    path = tmp_path / "list.csv"
    path.write_bytes(octets)
    return path


HEADER = "email,consent_source\n"
WRITTEN = {
    "cp1252": "ada@example.org,Journée d’étude à Genève\nb@example.org,séance plénière\n",
    "cp1251": "ada@example.org,Конференция в Москве\nb@example.org,заседание комитета\n",
    "cp1256": "ada@example.org,مؤتمر جنيف للملكية الفكرية\nb@example.org,الجلسة الأولى\n",
    "gb18030": "ada@example.org,日内瓦会议注册\nb@example.org,知识产权组织第八届会议\n",
}
PLAIN_ROWS = "".join(f"person{number}@example.org,a card at the door\n" for number in range(2000))


@pytest.mark.parametrize("encoding", WRITTEN)
def test_an_encoding_is_told_by_a_few_lines_among_many(tmp_path: Path, encoding: str) -> None:
    """D-130: what spreadsheets of 160 countries save."""
    path = table(tmp_path, (HEADER + PLAIN_ROWS + WRITTEN[encoding] + PLAIN_ROWS).encode(encoding))
    found = open_table(path)
    assert (found.encoding, found.count) == (encoding, 4002)
    assert WRITTEN[encoding].splitlines()[0].split(",") in [cells for _, cells in found.rows()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("separator", ",;\t|")
def test_what_says_itself_what_it_is(tmp_path: Path, encoding: str, separator: str) -> None:
    text = f'email{separator}note\r\na@example.org{separator}"two\r\nlines"\r\n\r\nb@example.org{separator}日本\r\n'
    found = open_table(table(tmp_path, text.encode(encoding)))
    assert (found.separator, found.header, found.count) == (separator, ["email", "note"], 2)
    assert list(found.rows()) == [(3, ["a@example.org", "two\r\nlines"]), (5, ["b@example.org", "日本"])]


@pytest.mark.parametrize("word", ["é@example.org", "rené@exämple.org", "a@x.org,Москва"])
def test_an_encoding_that_can_not_be_told_is_asked_for(tmp_path: Path, word: str) -> None:
    encoding = "cp1251" if "М" in word else "cp1252"
    path = table(tmp_path, f"email\n{word}\n".encode(encoding))
    with pytest.raises(BadInput, match="name it with --encoding"):
        open_table(path)
    assert next(open_table(path, encoding).rows())[1] == word.split(",")


@pytest.mark.parametrize(
    ("octets", "encoding", "said"),
    [
        (b'email\n"a@example.org\n', None, "line 2: unexpected end of data"),
        (b'email\n"a"b@example.org\n', None, "line 2: "),
        (b"email\n" + b"x" * 200_000, None, "field larger than field limit"),
        ("email\né@example.org".encode("latin-1"), "utf-8", "is not utf-8"),
        (b"\xff\xfee", None, "is not utf-16"),
    ],
)
def test_a_file_that_is_no_table(tmp_path: Path, octets: bytes, encoding: str | None, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        open_table(table(tmp_path, octets), encoding)


@pytest.mark.parametrize("name", ["klingon", "base64", "hex", "rot13"])
def test_an_encoding_that_does_not_exist(name: str) -> None:
    with pytest.raises(BadInput, match="no encoding"):
        known_encoding(name)
