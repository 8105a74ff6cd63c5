"""The text part of letters: what makes plain text pleasant to read where all letters are of one width. Pure."""

import unicodedata

RIGHT_TO_LEFT_MARK = "\u200f"
WIDEST_LINE = 72


def underlined(heading: str, line: str) -> str:
    """A heading of the text part: a line below it, as wide as it is and never wider than a narrow window."""
    return f"{heading}\n{line * min(columns(heading), WIDEST_LINE)}"


def columns(text: str) -> int:
    """How much room a text takes."""
    return sum(map(width, text))


def width(character: str) -> int:
    """None for marks, two for Chinese characters."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def from_the_right(line: str) -> str:
    """A line of a right-to-left text; a mark keeps one that begins with a Latin name from running the other way."""
    strong = [kind for kind in map(unicodedata.bidirectional, line) if kind in ("L", "R", "AL")]
    return RIGHT_TO_LEFT_MARK + line if strong[:1] == ["L"] and {"R", "AL"} & set(strong) else line


def tidy(text: str) -> str:
    """Templates leave runs of empty lines and blanks at line ends: at most one empty line, no blanks
    but that of `-- `, by which mail programs know where the footer begins (RFC 3676 4.3)."""
    lines: list[str] = []
    for line in (each if each == "-- " else each.rstrip() for each in text.strip().splitlines()):
        if line or lines[-1]:
            lines.append(line)
    return "\n".join(lines) + "\n"
