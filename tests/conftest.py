"""Fixtures only: databases, a mail server, an installation of the product in a folder of its own."""

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from hypothesis import settings
from jinja2.bccache import Bucket, BytecodeCache
from playwright.sync_api import Browser, expect

from mailer.app import create_app
from mailer.config import Config
from mailer.db import db
from mailer.lists import make_list

from .installation import SECRET, Installation
from .servers import postgres
from .servers.browser import ADVICE, chromium, find_chromium
from .servers.smtp import PATIENCE, SmtpServer

# Databases by the thousand, and none of them needs a disk: in memory they are made several times as fast.
MEMORY, ROOM = Path("/dev/shm"), 4_000_000_000
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ["TMPDIR"] = str(MEMORY)  # for whatever a test starts, too
    tempfile.tempdir = None

# Who runs the tests in the background has SIGINT ignored, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# On a busy machine an example may take any time, and a page too.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
expect.set_options(timeout=PATIENCE * 1000)


class Compiled(BytecodeCache):
    """Templates as Python's code, kept from one application to the next: a command has an application of its own."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


Flask.jinja_options = {"bytecode_cache": Compiled()}

REQUIRED = set(os.environ.get("MAILER_TEST_REQUIRE", "").split(",")) - {""}


def need(what: str, found: object, advice: str) -> None:
    """Skip a test whose server or browser is missing, or fail it where MAILER_TEST_REQUIRE names it."""
    if not found:
        if what in REQUIRED:
            pytest.fail(advice)
        pytest.skip(advice)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own MAILER_… variables are not the tests' business."""
    for name in list(os.environ):
        if name.startswith("MAILER_") and not name.startswith("MAILER_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    binaries = postgres.find_binaries()
    need("postgres", binaries, postgres.ADVICE)
    assert binaries
    with postgres.postgres(binaries) as url:
        yield url


def migrate(database_url: str) -> None:
    """Tables by our migrations, and the list."""
    app = create_app(Config(secret_key=(SECRET,), database_url=database_url))
    with app.app_context():
        upgrade()
        make_list()
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "mailer.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    postgres.execute(postgres_server, "CREATE DATABASE template_mailer")
    migrate(sqlalchemy_url(postgres_server, "template_mailer"))
    return "template_mailer"


def sqlalchemy_url(server: str, name: str) -> str:
    return server.replace("postgresql://", "postgresql+psycopg://").removesuffix("/postgres") + f"/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of the test's own; each test that uses one runs on both kinds."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "mailer.db")
        yield f"sqlite:///{tmp_path / 'mailer.db'}"
        return
    server: str = request.getfixturevalue("postgres_server")
    name = f"test_{uuid.uuid4().hex}"
    template_name: str = request.getfixturevalue("postgres_template")
    postgres.execute(server, f"CREATE DATABASE {name} TEMPLATE {template_name} STRATEGY file_copy")
    yield sqlalchemy_url(server, name)
    postgres.execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def mail_server() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture
def here(
    tmp_path: Path, database_url: str, mail_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """An installation of the product in the working folder, its mail going to `mail_server`."""
    monkeypatch.chdir(tmp_path)
    installation = Installation(tmp_path, database_url, mail_server)
    yield installation
    installation.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a process."""
    path = find_chromium()
    need("browser", path, ADVICE)
    assert path
    with chromium(path) as opened:
        yield opened


@pytest.fixture
def app_context(here: Installation) -> Iterator[None]:
    """For tests of modules that need the application."""
    with here.app.app_context():
        yield
        db.session.remove()
