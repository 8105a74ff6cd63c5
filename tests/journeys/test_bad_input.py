"""Whatever is wrong: one line that says what and what to do, the exit code of the documentation, nothing lost."""

import re
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ..installation import RECAP, Installation
from ..servers.ports import free_port

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@sqlite_only
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no front matter", "no front matter"),
        (RECAP.replace("title: What 160 countries discussed\n", ""), "title: is missing"),
        (RECAP.replace("2023-09-22", "2023-13-45"), "date"),
        (RECAP.replace("2023-09-22", "yesterday"), "'yesterday' is not a date like 2026-01-31"),
        (RECAP.replace("key: recap", "language: tlh"), "'tlh' is not one of this list's: en, fr"),
        (RECAP.replace("key:", "kee:"), "did you mean 'key'?"),
        (RECAP.replace("key: recap", "translation-of: nothing"), "there is no announcement 'nothing'"),
        (RECAP.replace("Conversation", "Conver\x07sation"), "control character"),
    ],
)
def test_an_announcement_file_that_can_not_be_used(here: Installation, text: str, said: str) -> None:
    bad = here.write("bad.md", text)
    good = here.write("good.md", RECAP.replace("key: recap", "key: good"))
    error = here.error("announcement", "add", good, bad)
    assert said in error
    assert re.search(r"bad\.md(:\d+)?: ", error)
    assert here.json("announcement", "list") == [], "all of them or none"


@sqlite_only
def test_an_announcement_file_that_is_not_utf_8(here: Installation) -> None:
    (here.folder / "latin.md").write_bytes(RECAP.replace("countries", "pays émus").encode("latin-1"))
    assert "save the file as UTF-8" in here.error("announcement", "add", "latin.md")


@sqlite_only
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("digest", "send", "7"), 1, "there is no digest 7"),
        (("digest", "status", "7"), 1, "there is no digest 7"),
        (("digest", "report", "7"), 1, "there is no digest 7"),
        (("digest", "preview", "7"), 1, "there is no digest 7"),
        (("digest", "pause", "7"), 1, "there is no digest 7"),
        (("announcement", "show", "7"), 1, "there is no announcement 7"),
        (("announcement", "remove", "7"), 1, "there is no announcement 7"),
        (("digest", "compose"), 1, "there is nothing to compose"),
        (("digest", "compose", "7"), 1, "there is no announcement 7"),
        (("subscriber", "add", "nobody"), 1, "'nobody' is not an address"),
        (("subscriber", "show", "nobody@example.org"), 1, "nobody@example.org is not on the list"),
        (("subscriber", "unsubscribe", "nobody@example.org"), 1, "nobody@example.org is not on the list"),
    ],
)
def test_something_that_is_not_there(here: Installation, arguments: tuple[str, ...], code: int, said: str) -> None:
    assert said in here.error(*arguments, code=code)


@sqlite_only
@pytest.mark.parametrize(
    "arguments",
    [
        ("digest", "send", "first"),
        ("digest", "send"),
        ("digest", "frobnicate"),
        ("frobnicate",),
        ("digest", "compose", "no-such-file.md"),
        ("digest", "compose", "9" * 4500),
        ("digest", "compose", "٩" * 4500),
        ("digest", "compose", "1", "--since", "2023-01-01"),
        ("digest", "compose", "--since", "soon"),
        ("digest", "send", "1", "--at", "soon"),
        ("digest", "retry", "1"),
        ("announcement", "add"),
        ("announcement", "add", "no-such-file.md"),
        ("subscriber", "add", "a@example.org", "--language", "tlh"),
        ("subscriber", "import", "no-such-file.csv", "--basis", "x"),
    ],
)
def test_wrong_usage_ends_with_2(here: Installation, arguments: tuple[str, ...]) -> None:
    assert "Error: " in here.run(*arguments, code=2).stderr


@sqlite_only
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("year", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
@pytest.mark.parametrize("offset", ["", "Z", "+14:00", "-14:00"])
def test_a_time_at_the_end_of_all_years_is_wrong_usage(here: Installation, zone: str, year: str, offset: str) -> None:
    here.configure(TIMEZONE=zone)
    here.imported(1)
    digest = here.draft()
    said = here.run("digest", "send", digest, "--yes", "--at", year + offset, code=2).stderr.splitlines()[-1]
    assert said == f"Error: Invalid value for '--at': '{year + offset}' is not a time like 2026-01-31T09:30"
    assert here.status(digest)["state"] == "draft"


@sqlite_only
def test_a_title_of_two_lines_is_refused(here: Installation) -> None:
    for title in ("one\ntwo", "one\r\nBcc: x@example.org", " ", "x" * 300, "a\x00b"):
        here.error("digest", "compose", here.write("a.md", RECAP), "--title", title)
    assert here.json("digest", "list") == []


@sqlite_only
def test_a_digest_for_nobody_stays_a_draft(here: Installation) -> None:
    digest = here.draft()
    assert "no confirmed subscriber" in here.error("digest", "send", digest, "--yes")
    assert here.mail_server.mails == []
    assert here.status(digest)["state"] == "draft"


@sqlite_only
def test_a_digest_that_mail_providers_would_cut_off_is_refused(here: Installation) -> None:
    here.imported(1)
    digest = here.draft(f"{RECAP}\n\n{'word ' * 30_000}")
    assert "shorten it or split it" in here.error("digest", "send", digest, "--yes")
    assert here.status(digest)["state"] == "draft"


@sqlite_only
@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("SEND_RAET", "1", "did you mean SEND_RATE?"),
        ("SEND_RATE", "fast", "SEND_RATE 'fast' is not a whole number"),
        ("SECRET_KEY", "short", "shorter than 32 characters"),
        ("MAIL_SERVER", "mail.example.org", "MAIL_USE_TLS"),
        ("DATABASE_URL", "mysql://here", "DATABASE_URL"),
        ("DATABASE_URL", "nonsense", "DATABASE_URL"),
        ("BROKER_URL", "sqs://x", "amqp://user:password@host//"),
        ("LANGUAGES", "tlh", "none of them has a catalogue"),
    ],
)
def test_a_setting_that_can_not_be_right_stops_every_command(
    here: Installation, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"MAILER_{setting}", value)
    for command in (("stats",), ("serve",), ("init",)):
        assert said in here.error(*command)


def test_an_installation_without_settings_says_how_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from mailer.cli import main

    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(main, ["serve"])
    assert (told.exit_code, "run 'mailer init'" in told.stderr) == (1, True)


@sqlite_only
def test_a_database_without_tables_says_what_to_run(here: Installation) -> None:
    here.configure(DATABASE_URL=f"sqlite:///{here.folder}/empty.db")
    for command in (("stats",), ("serve",), ("digest", "list")):
        assert "run 'mailer init'" in here.error(*command)
    here.run("init")
    assert here.json("stats")["confirmed"] == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_postgresql_that_is_not_ready_says_what_to_do(here: Installation) -> None:
    url = str(here.settings["DATABASE_URL"])
    here.configure(DATABASE_URL=url.replace("/test_", "/none_"))
    assert "create it, then run 'mailer init'" in here.error("stats")
    here.configure(DATABASE_URL=re.sub(r":\d+/", f":{free_port()}/", url))
    assert "is it running?" in here.error("stats")
    here.configure(DATABASE_URL=re.sub(r"/test_.*", "/postgres", url))
    assert "run 'mailer init'" in here.error("stats")


@sqlite_only
@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"not a database" * 99)])
def test_a_file_that_is_no_database(here: Installation, make: Callable[[Path], None]) -> None:
    make(here.folder / "other.db")
    here.configure(DATABASE_URL=f"sqlite:///{here.folder}/other.db")
    assert "the database can't be used" in here.error("stats")


@sqlite_only
def test_a_locked_database_is_waited_for_and_then_said(here: Installation) -> None:
    holder = sqlite3.connect(here.folder / "mailer.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(1.0, holder.execute, ["ROLLBACK"])
    timer.start()
    here.run("subscriber", "add", "ada@example.org")
    timer.join()
    holder.execute("BEGIN IMMEDIATE")
    assert "another process holds it" in here.error("subscriber", "add", "benoit@example.org")
    answer = here.site.post("/subscribe", data={"email": "chen@example.org"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    holder.execute("ROLLBACK")
    holder.close()
    assert here.json("stats")["pending"] == 1
