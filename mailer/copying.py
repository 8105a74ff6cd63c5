"""Moving an installation to another database, from SQLite to PostgreSQL for one, without loss."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Engine, Integer, Row, Table, func, select, text

from mailer import bulk
from mailer.errors import NotAllowed
from mailer.models import Delivery

BATCH = 1000  # rows
TABLES = Delivery.metadata.sorted_tables  # what others point to comes first
Watch = Callable[[str, int], None]  # a table's name, and how many of its rows are copied


def copy(source: Engine, target: Engine, watch: Watch = lambda *_: None) -> dict[str, int]:
    """Every row of every table, in one transaction; {table: how many}. Nobody can write to the source meanwhile.

    Both must be at the newest migration. Raises NotAllowed if the target holds rows, or if what arrived there is not
    what was read: then it stays empty.
    """
    with source.connect() as reading, target.connect() as writing:
        hold_still(reading)
        writing = writing.execution_options(writes=True)
        with writing.begin():
            refuse_filled(writing)
            counts = {}
            for table in TABLES:
                read = checksum(copied(table, reading, writing, watch))
                if checksum(rows_of(table, writing)) != read:
                    raise NotAllowed(f"the rows of {table.name} did not arrive as they were read; nothing was copied")
                counts[table.name], _ = read
                go_on_counting(table, writing)
    return counts


def hold_still(connection: Connection) -> None:
    """No writer may come in between: what it wrote would be lost. It waits for as long as the other database works."""
    if connection.dialect.name == "sqlite":
        connection.execution_options(writes=True).begin()
        return
    names = ", ".join(f'"{table.name}"' for table in TABLES)
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


def refuse_filled(connection: Connection) -> None:
    for table in TABLES:
        if connection.execute(select(table).limit(1)).first() is not None:
            raise NotAllowed(f"the target's table {table.name} holds rows: copy into an empty database")


def copied(
    table: Table, reading: Connection, writing: Connection, watch: Watch
) -> Iterator[list[Row[*tuple[Any, ...]]]]:
    """The rows that were read, each written before the next ones are."""
    count = 0
    for rows in rows_of(table, reading):
        bulk.load(writing, table, [dict(row._mapping) for row in rows])
        count += len(rows)
        watch(table.name, count)
        yield rows


def rows_of(table: Table, connection: Connection) -> Iterator[list[Row[*tuple[Any, ...]]]]:
    result = connection.execute(select(table).execution_options(yield_per=BATCH))
    for rows in result.partitions():
        yield list(rows)


def checksum(batches: Iterator[list[Row[*tuple[Any, ...]]]]) -> tuple[int, int]:
    """How many rows, and what they add up to."""
    count, total = 0, 0
    for rows in batches:
        count, total = count + len(rows), (total + sum(map(fingerprint, rows))) % 2**128
    return count, total


def fingerprint(row: Row[*tuple[Any, ...]]) -> int:
    """Of a row's values as the program sees them, alike on every database; their sum does not ask for an order."""
    return int.from_bytes(hashlib.blake2b(repr(tuple(row)).encode(), digest_size=16).digest())


def go_on_counting(table: Table, connection: Connection) -> None:
    """New rows get numbers beyond those that were copied. SQLite does so by itself."""
    key = table.autoincrement_column
    if connection.dialect.name != "postgresql" or key is None or not isinstance(key.type, Integer):
        return
    sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, key.name)))
    last = connection.scalar(select(func.max(key)))
    if sequence and last:
        connection.execute(select(func.setval(sequence, last)))
