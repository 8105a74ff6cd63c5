"""How findings look: a line each, in colours on a terminal, plain elsewhere."""

import sys
from collections.abc import Sequence
from typing import NamedTuple, TextIO

import click


class Line(NamedTuple):
    is_error: bool
    name: str
    text: str
    where: str = ""
    remedy: str = ""

    @property
    def kind(self) -> str:
        return "error" if self.is_error else "warning"


def show(lines: Sequence[Line], stream: TextIO | None = None) -> None:
    """Errors first. On a terminal as a table with what to do."""
    ordered = sorted(lines, key=lambda line: not line.is_error)
    stream = stream or sys.stdout
    if ordered and stream.isatty():
        show_table(ordered, stream)
        return
    for line in ordered:
        where = f" ({line.where})" if line.where else ""
        remedy = f". {line.remedy}" if line.remedy else ""
        click.echo(f"{line.kind:<7}  {line.name}{where}: {line.text}{remedy}", file=stream)


def show_table(lines: Sequence[Line], stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    for line in lines:
        style, mark = ("bold red", "✗") if line.is_error else ("yellow", "!")
        words = Text.assemble(line.text, "  ", (line.remedy, "dim"))
        table.add_row(Text(mark, style), Text(line.name, style), Text(line.where, "cyan"), words)
    Console(file=stream, highlight=False).print(table)


def counted(errors: int, warnings: int) -> str:
    said = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in ((errors, "error"), (warnings, "warning"))]
    return ", ".join(said) if errors or warnings else "nothing to find fault with"
