"""What an operator looks at and looks after: announcements, people, imports, the demo."""

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest
import time_machine
from click.testing import CliRunner

from mailer.cli import COMMANDS, main

from ..installation import RECAP, RECAP_FR, Installation, leave_link


def test_an_announcement_is_added_changed_and_shown(here: Installation) -> None:
    files = here.write("fr.md", RECAP_FR), here.write("en.md", RECAP)
    assert "1  added  fr  Ce dont 160 pays ont discuté" in here.run("announcement", "add", *files).stdout
    assert "unchanged" in here.run("announcement", "add", files[1]).stdout
    here.write("en.md", RECAP.replace("was long", "was short"))
    assert "updated" in here.run("announcement", "add", files[1]).stdout
    found = here.json("announcement", "show", 1)
    assert (found["languages"], found["topics"], found["date"]) == (["en", "fr"], ["policy"], "2023-09-22")
    assert "was short" in found["translations"][0]["body"]
    assert "translation-of: recap\nlanguage: fr\n" in here.run("announcement", "show", 1).stdout
    assert "2023-09-22  !  news" in here.run("announcement", "list").stdout


def test_an_announcement_can_be_removed_until_a_digest_holds_it(here: Installation) -> None:
    here.run("announcement", "add", here.write("en.md", RECAP))
    here.run("announcement", "remove", 1)
    assert here.json("announcement", "list") == []
    here.draft()
    held = here.json("announcement", "list")[0]["id"]
    assert "stands in digest" in here.error("announcement", "remove", held)


def test_people_are_listed_and_shown(here: Installation) -> None:
    here.subscribed("ada@example.org")
    here.run("digest", "send", here.draft(), "--yes")
    assert here.run("subscriber", "list").stdout == "ada@example.org  confirmed  en  weekly\n"
    assert [each["email"] for each in here.json("subscriber", "list")] == ["ada@example.org"]
    shown = here.run("subscriber", "show", "ADA@example.org").stdout
    for words in ("confirmed", "http://127.0.0.1:8000/subscribe", "digest", "What 160 countries discussed"):
        assert words in shown
    letters = here.json("subscriber", "show", "ada@example.org")["deliveries"]
    assert [(each["letter"], each["state"]) for each in letters] == [
        ("confirmation", "accepted"),
        ("digest", "accepted"),
    ]


def test_the_state_of_things_is_told_in_words_too(here: Installation) -> None:
    here.imported(2)
    assert here.run("stats").stdout.split()[:6] == ["pending", "0", "confirmed", "2", "ended", "0"]
    digest = here.draft()
    assert here.run("digest", "status", digest).stdout == f"digest {digest} draft: 0 enlisted\n"
    here.run("digest", "send", digest, "--yes")
    assert here.run("digest", "status", digest).stdout == f"digest {digest} sent: 2 enlisted = 2 accepted\n"
    assert "person0@example.org  accepted  1" in here.run("digest", "report", digest).stdout
    rows = list(csv.DictReader(io.StringIO(here.run("digest", "report", digest, "--csv").stdout)))
    assert [(row["email"], row["state"]) for row in rows] == [
        ("person0@example.org", "accepted"),
        ("person1@example.org", "accepted"),
    ]
    assert here.run("run-due").stdout == "nothing is due\n"


@pytest.fixture
def summed_up(here: Installation) -> Installation:
    """A digest that ten people got, of whom one bounced, one was forgotten, and two left: one at once, one later."""
    rows = [f"person{number}@big.example.org,{'fr' if number > 4 else 'en'}" for number in range(7)]
    rows += [f"person{number}@small{number}.example.org,en" for number in range(3)]
    here.run(
        "subscriber", "import", here.write("people.csv", "\n".join(["email,language", *rows])), "--basis", "a test"
    )
    here.mail_server.answer("RCPT", "person6@", "550 5.1.1 no such user")
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        here.run("digest", "send", here.draft(), "--yes")
        here.run("subscriber", "erase", "person2@small2.example.org")
        clock.move_to("2026-03-04T11:00:00Z")
        here.site.post(leave_link(here.letters("person5@big.example.org")[0]))
        clock.move_to("2026-03-04T13:00:00Z")
        here.site.post(leave_link(here.letters("person0@big.example.org")[0]))
    return here


def counts(enlisted: int, accepted: int, bounced: int = 0, unsubscribed: int = 0) -> dict[str, int]:
    some = {"enlisted": enlisted, "accepted": accepted, "bounced": bounced, "unsubscribed": unsubscribed}
    return {**some, "blocked": 0, "unknown": 0, "complained": 0}


def test_a_digest_is_summed_up_by_language_and_domain_and_of_nobody(summed_up: Installation) -> None:
    """D-197"""
    told = summed_up.json("digest", "report", 1, "--summary")

    assert told == {
        "digest": 1,
        "until": "2026-03-04T12:00:00+00:00",
        **counts(10, 9, 1, 1),
        "languages": [{"name": "en", **counts(8, 8)}, {"name": None, **counts(2, 1, 1, 1)}],
        "domains": [{"name": "big.example.org", **counts(7, 6, 1, 1)}, {"name": None, **counts(3, 3)}],
    }
    shown = summed_up.run("digest", "report", 1, "--summary").stdout
    assert re.search(r"big\.example\.org +7 +6 +1 +0 +0 +1 +0\nother domains +3 +3 ", shown)
    assert ("@" in shown, "small" in shown, "person" in shown) == (False, False, False)
    summed_up.run("digest", "report", 1, "--summary", "--csv", code=2)


def test_of_a_draft_there_is_nothing_to_sum_up(here: Installation) -> None:
    told = here.json("digest", "report", here.draft(), "--summary")
    assert (told["enlisted"], told["until"], told["languages"], told["domains"]) == (0, None, [], [])


def test_a_digest_that_was_sent_is_neither_resumed_nor_cancelled(here: Installation) -> None:
    here.imported(1)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    assert "nothing to resume" in here.error("digest", "resume", digest)
    assert "can't become cancelled" in here.error("digest", "cancel", digest)
    assert "nothing is sent again" in here.run("digest", "send", digest, "--yes").stdout


def test_composing_says_what_another_digest_holds(here: Installation) -> None:
    first = here.draft()
    assert f"(already in digest {first}, draft)" in here.run("digest", "compose", 1).stdout
    assert "stands in a digest already" in here.error("digest", "compose")


def test_failed_letters_can_be_tried_again(here: Installation) -> None:
    here.imported(2)
    here.mail_server.answer("RCPT", "person1@", "550 5.1.1 no such user", times=1)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    assert "1 letters are queued again" in here.run("digest", "retry", digest, "--failed").stdout
    here.run("digest", "send", digest)
    assert here.status(digest)["accepted"] == 2
    assert "0 letters" in here.run("digest", "retry", digest, "--failed").stdout


IMPORT = """email,language,frequency,topics,consent_at,consent_source
ada@example.org,fr,monthly,policy generative-ai,2023-09-21,a card at the door
ADA@EXAMPLE.ORG,,,,,
benoit@exämple.org,,,,,
nobody,,,,,
chen@example.org,tlh,,,,
dana@example.org,,hourly,,,
emil@example.org,,,,yesterday,
farah@example.org,,,Not a topic!,,
"""


def test_a_list_is_taken_over_with_its_evidence_and_without_a_letter(here: Installation) -> None:
    done = here.run("subscriber", "import", here.write("list.csv", IMPORT), "--basis", "the old list")
    assert "added 2, already on the list 1, left before 0, refused 5" in done.stdout
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [f"refused  line {n}" for n in range(5, 10)]
    ada = here.json("subscriber", "show", "ada@example.org")
    assert (ada["state"], ada["language"], ada["frequency"]) == ("confirmed", "fr", "monthly")
    assert ada["topics"] == ["policy", "generative-ai"]
    evidence = ada["consent"][0]
    assert (evidence["kind"], evidence["at"][:10]) == ("imported", "2023-09-21")
    assert (evidence["source"], evidence["basis"]) == ("a card at the door", "the old list")
    assert "the old list" in here.run("subscriber", "show", "benoit@xn--exmple-cua.org").stdout
    here.run("run-due")
    assert here.mail_server.mails == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_a_spreadsheet_saves_can_be_imported(here: Installation, separator: str) -> None:
    rows = f"Email{separator}Language\r\nada@example.org{separator}fr\r\n\r\n"
    here.run("subscriber", "import", here.write("list.csv", "\ufeff" + rows), "--basis", "x")
    assert here.json("subscriber", "show", "ada@example.org")["language"] == "fr"


def test_importing_again_changes_nothing_and_revives_nobody(here: Installation) -> None:
    here.imported(3)
    here.run("subscriber", "unsubscribe", "person1@example.org")
    again = here.run("subscriber", "import", here.folder / "people.csv", "--basis", "again")
    assert "added 0, already on the list 2, left before 1, refused 0" in again.stdout
    assert here.counts() == {"pending": 0, "confirmed": 2, "ended": 1}


def test_a_dry_run_says_the_same_and_changes_nothing(here: Installation) -> None:
    path = here.write("list.csv", IMPORT)
    tried = here.run("subscriber", "import", path, "--basis", "x", "--dry-run")
    assert "would add 2, already on the list 1, left before 0, refused 5" in tried.stdout
    assert here.json("stats")["confirmed"] == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name,phone\nAda,1\n", "no column 'email'"),
        (b"", "no column 'email'"),
        (b"email,shoe size\na@example.org,42\n", "unknown column 'shoe size'"),
        ("email\né@example.org\n".encode("latin-1"), "name it with --encoding"),
        (b'email\n"ada@example.org\nb@example.org\n', "not a CSV file: line 3"),
        (b"email,e-mail\na@example.org,b@example.org\n", "a column 'email' twice"),
        (b"e\0m\0a\0i\0l\0", "no column 'email'"),
        (b"email\n\x00@example.org\n", "refused  line 2"),
    ],
)
def test_a_file_that_can_not_be_imported(here: Installation, content: bytes, said: str) -> None:
    (here.folder / "bad.csv").write_bytes(content)
    done = CliRunner().invoke(main, ["subscriber", "import", "bad.csv", "--basis", "x"])
    assert done.exit_code == (0 if "refused" in said else 1)
    assert said in done.stderr


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_basis_must_be_stated(here: Installation) -> None:
    here.imported(1)
    assert "why" in here.run("subscriber", "import", "people.csv", "--basis", " ", code=2).stderr


@pytest.mark.usefixtures("no_settings_from_outside")
def test_init_makes_an_installation_and_may_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = CliRunner().invoke(main, ["init"], catch_exceptions=False)
    settings = (tmp_path / "mailer.toml").read_text(encoding="utf-8")
    again = CliRunner().invoke(main, ["init"], catch_exceptions=False)
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert (tmp_path / "mailer.toml").read_text(encoding="utf-8") == settings
    for name in ("mailer.toml", "mailer.db"):
        assert os.stat(name).st_mode & 0o077 == 0, f"only the owner may read {name}"
    stats = CliRunner().invoke(main, ["stats", "--json"], catch_exceptions=False)
    assert json.loads(stats.stdout)["confirmed"] == 0


def test_the_demo_plays_the_whole_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    played = CliRunner().invoke(main, ["demo", "--once"], catch_exceptions=False)
    assert played.exit_code == 0, played.output
    assert played.stdout.splitlines()[-1] == "6 mails arrived: each that ought to, and nothing else"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    helped = CliRunner().invoke(main, [name, "--help"], catch_exceptions=False)
    assert helped.exit_code == 0
    assert helped.stdout.startswith(f"Usage: main {name}")


def test_help_lists_every_command() -> None:
    helped = CliRunner().invoke(main, ["--help"], catch_exceptions=False)
    assert [name for name in COMMANDS if f"\n  {name} " not in helped.stdout] == []
