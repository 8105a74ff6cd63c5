"""What the product says to its database, as the database driver hears it: kinds of statements, without their values."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from mailer.db import db

from .installation import Installation

KINDS = (
    (re.compile(r"(INSERT INTO|UPDATE|DELETE FROM) (\w+).*"), r"\1 \2"),
    (re.compile(r"(RELEASE|ROLLBACK TO) SAVEPOINT \w+"), "END OF SAVEPOINT"),  # kept or undone, it is a statement
)
ENDS = ("commit", "rollback")  # which drivers say by themselves


@contextmanager
def statements(here: Installation) -> Iterator[list[str]]:
    """A list that fills with all that the installation's application says."""
    with here.app.app_context():
        engine = db.engine
    said: list[str] = []
    listeners: dict[str, Any] = {name: lambda _, name=name: said.append(name.upper()) for name in ENDS}

    def hear(_c: Any, cursor: Any, statement: str, _p: Any, _x: Any, _many: bool) -> None:
        said.append(kind(" ".join(statement.split()), cursor.rowcount))

    listeners["after_cursor_execute"] = hear
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    yield said
    for name, listener in listeners.items():
        event.remove(engine, name, listener)


def kind(statement: str, rows: int) -> str:
    """Those of one kind cost the same: of what is written, the table and the number of rows; else all words."""
    for pattern, instead in KINDS:
        if pattern.fullmatch(statement):
            written = f": {rows} rows" if statement.startswith(("INSERT", "UPDATE")) else ""
            return pattern.sub(instead, statement) + written
    return statement
