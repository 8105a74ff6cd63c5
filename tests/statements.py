"""What the product says to its database, as the database driver hears it: kinds of statements, without their values."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from mailer.db import db

from .installation import Installation

WRITING = re.compile(r"((?:INSERT INTO|UPDATE|DELETE FROM) \w+).*")
ENDS = ("commit", "rollback")  # which drivers say by themselves


@contextmanager
def statements(here: Installation) -> Iterator[list[str]]:
    """A list that fills with all that the installation's application says."""
    with here.app.app_context():
        engine = db.engine
    said: list[str] = []
    listeners: dict[str, Any] = {name: lambda _, name=name: said.append(name.upper()) for name in ENDS}

    def hear(_c: Any, _cursor: Any, statement: str, values: Any, _x: Any, many: bool) -> None:
        said.append(kind(" ".join(statement.split()), len(values) if many else 1))

    listeners["after_cursor_execute"] = hear
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    yield said
    for name, listener in listeners.items():
        event.remove(engine, name, listener)


def kind(statement: str, rows: int) -> str:
    """Those of one kind cost the same: of what is written, the table and how many rows are spoken of; else all words.
    Whether a row comes of it, the database decides."""
    written = WRITING.fullmatch(statement)
    return f"{written[1]}: {rows} rows" if written else statement
