"""What an operator learns of a digest before it goes out, and of any mail."""

import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from ..installation import RECAP, RECAP_FR, Installation
from .test_bad_input import sqlite_only

GOOD = {
    "BASE_URL": "https://lists.example.org",
    "POSTAL_ADDRESS": "1 Example Road",
    "LANGUAGES": "en,fr",
    "MAIL_ACCOUNT_SENDER": "Accounts <accounts@lists.example.org>",
}
SUMMARY = "summary: Delegates of 160 countries met for two days, and agreed on hardly anything."
FULL = RECAP.replace("key: recap", f"key: recap\n{SUMMARY}")
FULL_FR = RECAP_FR.replace("language: fr", f"language: fr\n{SUMMARY}")
SILENT = FULL + "\n![](https://example.org/room.png)\n"


def found(here: Installation, digest: int, kind: str = "errors", code: int = 1) -> dict[str, str]:
    report = here.json("digest", "check", digest, code=code)
    assert (report["digest"], report["ok"]) == (digest, code == 0)
    assert all(each["text"] and each["remedy"] for each in report["errors"] + report["warnings"])
    return {each["name"]: each["text"] for each in report[kind]}


def tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="minutes")


def test_a_good_digest_has_nothing_to_find_fault_with(here: Installation) -> None:
    here.configure(**GOOD)
    digest = here.draft(FULL, FULL_FR)
    here.run("digest", "preview", digest)
    assert here.json("digest", "check", digest) == {"digest": digest, "ok": True, "errors": [], "warnings": []}
    assert "nothing to find fault with" in here.run("digest", "check", digest).stdout


def test_what_must_not_go_out_is_refused_and_stays_a_draft(here: Installation) -> None:
    """D-65: the same name in the check and in the refusal."""
    here.imported(1)
    digest = here.draft(SILENT)
    assert "https://example.org/room.png" in found(here, digest)["image-text"]
    assert "image-text (en): the image https://example.org/room.png" in here.error("digest", "send", digest, "--yes")
    assert "image-text" in here.error("digest", "send", digest)  # before anybody is asked
    assert "image-text" in here.error("digest", "send", digest, "--yes", "--at", tomorrow())
    assert (here.status(digest)["state"], here.mail_server.mails) == ("draft", [])


@sqlite_only
def test_a_fault_of_the_bytes_is_found_by_its_name_in_the_languages_that_have_it(here: Installation) -> None:
    """D-65, D-189."""
    clear = "![A room](http://example.org/room.png)"
    here.run("digest", "compose", here.write("a.md", FULL), "--intro", here.write("intro.md", clear))
    assert "http://example.org/room.png is not at an https address" in found(here, 1)["D-189"]


@sqlite_only
def test_what_must_not_go_out_goes_out_for_a_reason_that_is_written_down(here: Installation) -> None:
    here.imported(1)
    digest = here.draft(SILENT)
    for half in (["--force"], ["--reason", "x"], ["--force", "--reason", " "]):
        here.run("digest", "send", digest, "--yes", *half, code=2)
    here.run("digest", "send", digest, "--yes", "--force", "--reason", "the press waits")
    assert here.status(digest)["accepted"] == 1
    said = here.json("audit")[-1]["about"]
    assert "forced: the press waits; in spite of: image-text" in said


@sqlite_only
def test_what_was_forced_is_sent_when_its_time_has_come(here: Installation) -> None:
    here.imported(1)
    digest = here.draft(SILENT)
    with time_machine.travel("2026-03-01T12:00:00Z") as clock:
        here.run("digest", "send", digest, "--yes", "--force", "--reason", "x", "--at", "2026-03-01T14:00")
        clock.move_to("2026-03-01T14:00:30Z")
        here.run("run-due")
    assert len(here.mail_server.mails) == 1


@sqlite_only
def test_no_correction_brings_in_what_must_not_go_out(here: Installation) -> None:
    here.imported(1)
    digest = here.draft(FULL)
    here.run("digest", "send", digest, "--yes", "--at", tomorrow())
    here.run("announcement", "add", here.write("0.md", SILENT))
    assert "image-text" in here.error("digest", "correct", digest)
    assert here.json("digest", "check", digest)["errors"] == []


@sqlite_only
def test_warnings_are_shown_before_the_question_and_hinder_nobody(here: Installation) -> None:
    here.imported(1)
    asked = here.run("digest", "send", here.draft(RECAP), input="y\n").stderr
    assert asked.index("translation-missing (fr)") < asked.index("confirmed subscribers?")
    assert len(here.mail_server.mails) == 1


@sqlite_only
@pytest.mark.parametrize(
    ("name", "error", "old", "new"),
    [
        ("deadline-passed", False, "key: recap", "key: recap\ntype: call\ndeadline: 2023-10-01"),
        ("translation-missing", False, "language: fr", "language: en"),
        ("placeholder", False, "was long", "was long. TODO"),
        ("link-inside", False, "https://example.org/agenda", "https://intranet.local/agenda"),
        ("link-inside", False, "https://example.org/agenda", "https://192.168.1.1/agenda"),
        ("size", False, "was long", "was long " + "and wide " * 9_300),
        ("link-syntax", True, "https://example.org/agenda", "https://example/agenda"),
        ("link-syntax", True, "https://example.org/agenda", "mailto:nobody"),
        ("image-text", True, "was long", "was ![](https://example.org/a.png) long"),
        ("D-36", True, "was long", "was long " + "and wide " * 12_000),
    ],
)
def test_each_thing_is_found_by_its_name(here: Installation, name: str, error: bool, old: str, new: str) -> None:
    """D-184, D-185."""
    here.configure(**GOOD)
    english = FULL.replace(old, new)
    texts = (english,) if "language" in old else (english, FULL_FR)
    assert name in found(here, here.draft(*texts), "errors" if error else "warnings", code=1 if error else 0)


@sqlite_only
def test_links_are_asked_for_only_if_one_says_so(here: Installation) -> None:
    only = RECAP.replace("https://example.org/recap", "https://127.0.0.1/a").replace(
        " The [agenda](https://example.org/agenda) was long.", ""
    )
    digest = here.draft(only)
    assert "link-doubtful" not in found(here, digest, "warnings", code=0)
    report = here.json("digest", "check", digest, "--online")
    assert [each["text"] for each in report["warnings"] if each["name"] == "link-doubtful"] == [
        "https://127.0.0.1/a: '127.0.0.1' leads to 127.0.0.1, which is not a public address"
    ]


@sqlite_only
def test_what_the_settings_lack_is_said(here: Installation) -> None:
    assert found(here, here.draft(), "warnings", code=0).keys() >= {"D-31", "D-6", "trial-links"}


def unseen(here: Installation, digest: int) -> str | None:
    return found(here, digest, "warnings", code=0).get("unseen")


def asked(here: Installation, digest: int) -> str:
    """The question before it is sent, answered with no."""
    return here.run("digest", "send", digest, input="n\n", code=1).stderr


def test_that_nobody_has_looked_at_it_as_it_is_now_is_said(here: Installation) -> None:
    """D-194"""
    here.imported(1)
    digest = here.draft(FULL, FULL_FR)
    assert unseen(here, digest) == "nobody has looked at it"
    assert "(nobody has looked at it)" in asked(here, digest)
    here.run("digest", "preview", digest, "--language", "fr", "--html", "fr.html")
    here.run("digest", "test", digest, "--to", "me@example.org")
    assert unseen(here, digest) is None
    assert "(looked at in fr, en)" in asked(here, digest)
    here.run("announcement", "add", here.write("fr.md", FULL_FR.replace("jeudi", "vendredi")))
    assert str(unseen(here, digest)).startswith("changed since somebody looked at it, 2")
    here.run("digest", "preview", digest)
    assert "(looked at in en)" in asked(here, digest)
    here.run("digest", "add", digest, here.json("announcement", "list")[0]["id"])
    assert unseen(here, digest) is None, "it holds it already"
    here.run("announcement", "add", here.write("call.md", CALL))
    here.run("digest", "add", digest, 2)
    assert "(changed since somebody looked at it, " in asked(here, digest)


@sqlite_only
def test_a_copy_that_nobody_got_was_seen_by_nobody(here: Installation) -> None:
    digest = here.draft()
    here.mail_server.answer("RCPT", "me@", "550 no")
    here.run("digest", "test", digest, "--to", "me@example.org", code=1)
    assert unseen(here, digest) == "nobody has looked at it"


@sqlite_only
def test_what_is_public_needs_nobody_to_look_at_it(here: Installation) -> None:
    here.imported(1)
    digest = here.draft()
    here.run("digest", "send", digest, "--yes")
    assert unseen(here, digest) is None


@sqlite_only
def test_a_preview_opens_in_a_browser_with_or_without_a_file(here: Installation) -> None:
    """One that reads the file when the command has ended."""
    digest = here.draft()
    browser = here.write("browser", '#!/bin/sh\necho "$1" >> opened\n')
    browser.chmod(0o700)
    (here.folder / "tmp").mkdir()
    env = {**os.environ, "BROWSER": f"{browser} %s", "TMPDIR": str(here.folder / "tmp")}
    for more in ([], ["--html", "page.html"]):
        command = [sys.executable, "-m", "mailer", "digest", "preview", str(digest), "--open", *more]
        subprocess.run(command, cwd=here.folder, env=env, check=True)
    apart, named = (Path(line.removeprefix("file://")) for line in (here.folder / "opened").read_text().splitlines())
    assert (apart.parent, named) == (here.folder / "tmp", here.folder / "page.html")
    assert "What 160 countries discussed" in apart.read_text()
    assert apart.read_text() == named.read_text()


@sqlite_only
def test_what_was_sent_before_is_said(here: Installation) -> None:
    here.imported(1)
    here.run("digest", "send", here.draft(), "--yes")
    again = here.json("digest", "compose", 1)["digest"]
    assert found(here, again, "warnings", code=0).keys() >= {"sent-before", "subject-used"}


@sqlite_only
def test_what_is_frozen_is_checked_and_shown_as_it_is_frozen(here: Installation) -> None:
    """D-41."""
    here.imported(1)
    digest = here.draft(FULL)
    here.run("digest", "send", digest, "--yes")
    here.run("announcement", "add", here.write("0.md", SILENT.replace("160", "161")))
    assert here.json("digest", "check", digest)["errors"] == []
    assert "Subject: What 160 countries" in here.run("digest", "preview", digest).stdout


def test_a_preview_says_what_an_inbox_shows_and_what_is_not_translated(here: Installation) -> None:
    shown = here.run("digest", "preview", here.draft(FULL), "--language", "fr").stdout
    assert "Behind the subject: Delegates of 160 countries met" in shown
    assert "fr (1 of 1 not translated)" in shown
    assert "in English: What 160 countries discussed" in shown


CALL = """---
title: Call for comments
date: 2023-10-02
topics: [calls]
key: call
---
Write to the secretariat.
"""


@sqlite_only
def test_a_preview_as_somebody_holds_what_they_would_get_and_then_what_they_got(here: Installation) -> None:
    here.run("topic", "add", "calls")
    here.run("topic", "add", "policy")
    here.subscribed("everything@example.org")
    here.sign_up("calls@example.org", topics="calls")
    here.run("run-due")
    here.confirm("calls@example.org")
    digest = here.draft(FULL, CALL)

    def seen() -> list[bool]:
        shown = here.run("digest", "preview", digest, "--as", "calls@example.org").stdout
        return [title in shown for title in ("What 160 countries", "Call for comments")]

    assert seen() == [False, True]
    here.run("digest", "send", digest, "--yes")
    assert seen() == [False, True]
    here.subscribed("late@example.org")
    here.run("subscriber", "unsubscribe", "late@example.org")
    assert "would get nothing of digest" in here.error("digest", "preview", digest, "--as", "late@example.org")


def on_a_terminal(here: Installation, *arguments: object) -> str:
    """What a command shows there, without the colours."""
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "mailer", *map(str, arguments)]
    wide = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
    with subprocess.Popen(command, cwd=here.folder, env=wide, stdout=terminal, stderr=terminal):
        os.close(terminal)
        shown = b"".join(iter(lambda: read(master), b""))
    os.close(master)
    assert b"\x1b[" in shown
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())


def read(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError:  # how the end of a terminal is told
        return b""


@sqlite_only
def test_on_a_terminal_findings_and_previews_are_a_pleasure_to_read(here: Installation) -> None:
    digest = here.draft(SILENT)
    assert re.search(r"✗ image-text .*room\.png has an empty text", on_a_terminal(here, "digest", "check", digest))
    preview = on_a_terminal(here, "digest", "preview", digest)
    assert re.search(r"─ in an inbox ─.*\n.*Frontier Technologies.*\n.*What 160 countries.*\n.*Delegates of", preview)
    assert "- how models are trained\r\n- who owns what they make" in preview


# Any mail.


@pytest.fixture
def letter(here: Installation) -> Path:
    here.run("digest", "preview", here.draft(), "--eml", "letter.eml")
    return here.folder / "letter.eml"


@sqlite_only
def test_a_mail_is_checked_from_a_file_or_a_pipe(here: Installation, letter: Path) -> None:
    assert "nothing to find fault with" in here.run("check-message", letter).stdout
    assert here.json("check-message", letter) == {"kind": "digest", "ok": True, "errors": [], "warnings": []}
    letter.write_bytes(letter.read_bytes().replace(b"Precedence: bulk\r\n", b""))
    assert "D-33: Precedence is not bulk" in here.run("check-message", letter, code=1).stdout
    assert "D-40" in here.run("check-message", letter, "--kind", "account", code=1).stdout
    report = here.json("check-message", "-", code=1)
    assert (report["kind"], report["ok"]) == ("account", False)
    assert {"name": "D-4", "text": "from is missing"} in report["errors"]


@sqlite_only
def test_a_mail_that_is_not_there_is_wrong_usage(here: Installation) -> None:
    here.run("check-message", "nowhere.eml", code=2)
    here.run("check-message", code=2)


@sqlite_only
def test_a_mail_needs_no_installation_to_be_checked(here: Installation, letter: Path) -> None:
    (here.folder / "mailer.toml").unlink()
    here.run("check-message", letter)
