"""Many rows at once, in the way that costs each database least."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import JSON, Connection, Select, Table, Text, cast, exc, func, insert, literal, select
from sqlalchemy.orm import Session

from mailer.db import Base

Values = Mapping[str, Any]
Target = type[Base] | Table


def table_of(target: Target) -> Table:
    return target if isinstance(target, Table) else target.metadata.tables[target.__tablename__]


def load(connection: Connection, target: Target, rows: Sequence[Values]) -> None:
    """Insert rows that name the same columns, in their order. What they leave out gets no default of the models."""
    if not rows:
        return
    table = table_of(target)
    if connection.dialect.name == "postgresql":
        copy_in(connection, table, rows)
    else:
        connection.execute(insert(table), rows)


def copy_in(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """By COPY, in the transaction under way: an INSERT of as many rows costs the client several times as much."""
    names = list(rows[0])
    quote = connection.dialect.identifier_preparer.quote
    statement = f"COPY {quote(table.name)} ({', '.join(map(quote, names))}) FROM STDIN"
    types = [table.c[name].type.dialect_impl(connection.dialect) for name in names]
    prepare = [each.bind_processor(connection.dialect) or unchanged for each in types]
    driver: Any = connection.connection.driver_connection
    with known_errors(connection, statement), driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([ready(row[name]) for name, ready in zip(names, prepare, strict=True)])


def unchanged(value: Any) -> Any:
    return value


@contextmanager
def known_errors(connection: Connection, statement: str) -> Iterator[None]:
    """SQLAlchemy's errors for the driver's, as for a statement that went through it."""
    dialect = connection.dialect
    try:
        yield
    except dialect.loaded_dbapi.Error as error:
        base = dialect.loaded_dbapi.Error
        raise exc.DBAPIError.instance(statement, None, error, base, hide_parameters=True, dialect=dialect) from error


def fresh_ids(connection: Connection, target: Target, count: int) -> Sequence[int]:
    """Numbers for new rows of a table, in the transaction under way: nobody else gets them."""
    table = table_of(target)
    key = table.c.id
    if connection.dialect.name == "postgresql":
        sequence = select(func.pg_get_serial_sequence(table.name, key.name)).scalar_subquery()
        numbers = select(func.nextval(sequence)).select_from(func.generate_series(1, count))
        return connection.scalars(numbers).all()
    last = connection.scalar(select(func.max(key))) or 0  # of SQLite's one writer
    return range(last + 1, last + count + 1)


def these(session: Session, values: Iterable[str]) -> Select[str]:
    """A query that finds the texts themselves, for `column.in_(…)`: many as one parameter. As a parameter each,
    PostgreSQL would compare them one by one with row after row once it has prepared the statement."""
    given = literal(json.dumps(list(values)), Text)
    if session.get_bind().dialect.name == "sqlite":
        return select(func.json_each(given).table_valued("value").c.value)
    return select(func.json_array_elements_text(cast(given, JSON)).column_valued())
