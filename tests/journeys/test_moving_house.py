"""`mailer db copy`: from SQLite to PostgreSQL and back, in the middle of everything."""

import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from mailer.db import transaction

from ..conftest import sqlalchemy_url
from ..installation import Installation, leave_link
from ..servers import postgres

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def elsewhere(postgres_server: str) -> Iterator[str]:
    """The address of an empty database."""
    name = f"test_{uuid.uuid4().hex}"
    postgres.execute(postgres_server, f"CREATE DATABASE {name}")
    yield sqlalchemy_url(postgres_server, name)
    postgres.execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def test_an_installation_moves_in_mid_run_and_back(here: Installation, elsewhere: str) -> None:
    """Nobody is missed, nobody gets a letter twice, old links work, and new people get numbers of their own."""
    here.run("topic", "add", "policy", "--name", "en=Policy")
    here.subscribed("ada@example.org", "bob@example.org", language="ar")
    here.imported(3)
    here.mail_server.answer("RCPT", "person1@", "451 4.3.0 later", times=1)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes", code=1)
    before = {name: here.json(*name.split()) for name in ("stats", "topic list", f"digest status {digest}")}
    exported = here.run("subscriber", "export").stdout
    shown = here.json("subscriber", "show", "ada@example.org")
    source = "sqlite:///mailer.db"  # in the working folder

    said = here.run("db", "copy", source, elsewhere).stdout
    assert "all rows were read back and are the same" in said
    here.configure(DATABASE_URL=elsewhere)
    for name, found in before.items():
        assert here.json(*name.split()) == found
    assert here.run("subscriber", "export").stdout == exported
    assert here.json("subscriber", "show", "ada@example.org") == shown

    assert here.site.post(leave_link(here.letters("ada@example.org")[-1])).status_code == 200
    here.subscribed("new@example.org")
    assert here.json("stats")["confirmed"] == 5

    home = "sqlite:///home.db"
    here.run("db", "copy", elsewhere, home)
    here.configure(DATABASE_URL=home)
    assert here.json("stats")["confirmed"] == 5
    here.mail_server.mails.clear()
    with here.app.app_context(), transaction() as session:
        session.execute(text("UPDATE delivery SET next_at = created_at WHERE state = 'deferred'"))
    here.run("digest", "send", digest)
    assert [mail.to for mail in here.mail_server.mails] == ["person1@example.org"]


def test_a_database_that_holds_something_is_no_target(here: Installation, elsewhere: str) -> None:
    source = str(here.settings["DATABASE_URL"])
    here.subscribed("ada@example.org")
    here.run("db", "copy", source, elsewhere)
    assert "holds rows" in here.error("db", "copy", source, elsewhere)
    assert "holds rows" in here.error("db", "copy", elsewhere, source)
    assert here.json("stats")["confirmed"] == 1


def test_what_can_not_be_copied_is_said_in_one_line(here: Installation, elsewhere: str) -> None:
    source = str(here.settings["DATABASE_URL"])
    here.run("db", "copy", source, source, code=2)
    assert "database" in here.error("db", "copy", "no address", elsewhere)
    assert "database" in here.error("db", "copy", source, "postgresql+psycopg://nobody@127.0.0.1:1/none")


def test_a_source_that_is_none_leaves_nothing_behind(here: Installation) -> None:
    """A slip of the pen makes no database of that name, and none to copy into."""
    before = set(here.folder.iterdir())
    said = here.error("db", "copy", "sqlite:///mialer.db", "sqlite:///new.db")
    assert f"there is no database {here.folder}/mialer.db to copy from" in said
    (here.folder / "folder.db").mkdir()
    assert "there is no database" in here.error("db", "copy", "sqlite:///folder.db", "sqlite:///new.db")
    here.write("empty.db", "")
    assert "run 'mailer init'" in here.error("db", "copy", "sqlite:///empty.db", "sqlite:///new.db")
    older = here.folder / "older.db"
    shutil.copy(here.folder / "mailer.db", older)
    with closing(sqlite3.connect(older, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    assert "of another version" in here.error("db", "copy", "sqlite:///older.db", "sqlite:///new.db")
    made = {path.name for path in set(here.folder.iterdir()) - before}
    assert {name.partition("-")[0] for name in made} == {"folder.db", "empty.db", "older.db"}
