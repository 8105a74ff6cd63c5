"""Tables in files, as spreadsheets save and open them (RFC 4180 and what became of it): any usual encoding and
separator in, UTF-8 with commas out.

A file is read twice and never held in memory: once to find all that is wrong with it as such, once to use it.
"""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mailer.errors import BadInput

if TYPE_CHECKING:
    from _csv import Reader

SEPARATORS = ",;\t|"
CHUNK = 1 << 20
SAMPLE = 1 << 16  # octets of lines that aren't ASCII, from which an encoding is guessed
MARKS = (  # the longer first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
GUESSED = ("cp1252", "cp1251", "cp1256", "gb18030")
SURE = 0.1  # by how much a guess must be better than the next

# A spreadsheet takes a cell that begins so for a formula. An apostrophe before it makes it text. Apostrophes that
# stand there already are kept apart by one more, so that nothing is lost.
FORMULA = re.compile(r"'*[=+\-@\t\r\0]")
GUARDED = re.compile(r"'+[=+\-@\t\r\0]")


def guard(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    return cell[1:] if GUARDED.match(cell) else cell


@dataclass(frozen=True)
class Table:
    """A file that has been read once and is known to be whole."""

    path: Path
    encoding: str
    separator: str
    header: Sequence[str]
    count: int  # rows below the header

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row with the number of the line that it ends on; empty ones are left out."""
        with open_text(self.path, self.encoding) as file:
            reader = read_csv(file, self.separator)
            next(reader)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, [unguard(cell) for cell in cells]


def open_table(path: Path, encoding: str | None = None) -> Table:
    """Raises BadInput for a file that can't be read, is of no encoding that could be told, or is no table."""
    try:
        encoding = encoding or find_encoding(path)
        with open_text(path, encoding) as file:
            first = file.readline()
        separator = max(SEPARATORS, key=first.count)  # spreadsheets save what their country parts numbers with
        with open_text(path, encoding) as file:
            reader = read_csv(file, separator)
            header = [unguard(name).strip() for name in next(reader, [])]
            count = sum(any(cell.strip() for cell in cells) for cells in reader)
    except UnicodeError as error:
        raise BadInput(f"{path} is not {encoding}: {error}") from None
    except csv.Error as error:
        raise BadInput(f"{path} is not a CSV file: line {reader.line_num}: {error}") from None
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from None
    return Table(path, encoding, separator, header, count)


def open_text(path: Path, encoding: str) -> IO[str]:
    return path.open(encoding=encoding, newline="")


def read_csv(file: Iterable[str], separator: str) -> "Reader":
    """Strict: a quote that is never closed would swallow the rest of the file."""
    return csv.reader(file, delimiter=separator, strict=True)


def known_encoding(name: str) -> str:
    """Python's name of an encoding that somebody named. Raises BadInput."""
    try:
        info = codecs.lookup(name)
        "".encode(info.name)  # refuses codecs that are no text encodings, like base64
    except (LookupError, ValueError):
        raise BadInput(f"there is no encoding {name!r}; usual ones are utf-8, {', '.join(GUESSED)}") from None
    return info.name


def find_encoding(path: Path) -> str:
    """By the file's mark, as UTF-8 if it is that, else by a guess that must be sure. Raises BadInput."""
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return encoding
    if can_be(path, "utf-8"):
        return "utf-8"
    guess = guess_encoding(sample(path), [each for each in GUESSED if can_be(path, each)])
    if guess is None:
        raise BadInput(
            f"{path} is not UTF-8, and its encoding can't be told: save it as CSV in UTF-8, or name it with --encoding "
            f"({', '.join(GUESSED)}, …)"
        )
    return guess


def can_be(path: Path, encoding: str) -> bool:
    """Whether the whole file can be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def sample(path: Path) -> bytes:
    """Lines that aren't ASCII: of a list they may be a few in a million."""
    with path.open("rb") as file:
        told = (line for line in file if not line.isascii())
        return b"".join(islice(told, 500))[:SAMPLE]


def guess_encoding(octets: bytes, among: Sequence[str]) -> str | None:
    """The encoding in which the octets read like a language; None if that can't be told."""
    from charset_normalizer import from_bytes  # slow to load

    if not among:
        return None
    found = sorted(
        ((match.chaos, -match.coherence, match.encoding) for match in from_bytes(octets, cp_isolation=list(among))),
    )
    if not found or found[0][2] not in among:
        return None
    if len(found) > 1 and found[1][0] - found[0][0] < SURE and found[1][1] - found[0][1] < SURE:
        return None
    return found[0][2]


class TableWriter:
    """Writes rows that spreadsheets open without running anything (CWE-1236), and that `Table` reads back as they
    were."""

    def __init__(self, file: IO[str]) -> None:
        self.rows = csv.writer(file)

    def write(self, cells: Iterable[str]) -> None:
        self.rows.writerow([guard(cell) for cell in cells])
