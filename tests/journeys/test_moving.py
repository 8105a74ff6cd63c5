"""People in and out by files: nothing is lost, nobody is revived, and what is wrong with a row is said."""

import csv
import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from ..installation import Installation, link_in

ODD = """email,language,frequency,topics,consent_at,consent_source
'=cmd@gmail.com,fr,monthly,policy generative-ai,2023-09-21,"a card, at ""the"" door"
''=cmd@gmail.com,,,,,
'-minus@example.org,,,,,'=HYPERLINK(1)
o'neil+list@example.org,,,,,Besprechung in Zürich
benoit@exämple.org,ar,immediate,,2022-01-31T10:11:12.000013+02:00,会议
"""


def exported(here: Installation, *options: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(here.run("subscriber", "export", *options).stdout, newline="")))


def elsewhere(here: Installation) -> None:
    """Another installation of the same settings, which knows nobody."""
    if str(here.settings["DATABASE_URL"]).startswith("sqlite"):
        here.configure(DATABASE_URL=f"sqlite:///{here.folder}/other.db")
        here.run("init")
    else:
        here.run("db", "downgrade", "base")
        here.run("init")


def test_an_export_is_imported_without_loss(here: Installation) -> None:
    """D-130, D-167: formulas are text, odd addresses survive, who is pending or left is neither confirmed nor
    revived."""
    here.run("subscriber", "import", here.write("odd.csv", ODD), "--basis", "the old list")
    here.subscribed("ada@example.org", "left@example.org")
    here.run("subscriber", "unsubscribe", "left@example.org")
    here.sign_up("pending@example.org", topics=["policy"])
    here.run("subscriber", "erase", "ada@example.org")
    here.run("subscriber", "export", here.folder / "first.csv")
    first = (here.folder / "first.csv").read_bytes()
    assert os.stat(here.folder / "first.csv").st_mode & 0o077 == 0, "only the owner may read it"
    cells = [cell for row in csv.reader(io.StringIO(first.decode(), newline="")) for cell in row]
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")] == []
    assert {"'=cmd@gmail.com", "''=cmd@gmail.com", "'-minus@example.org"} <= set(cells)
    again = here.run("subscriber", "import", here.folder / "first.csv", "--basis", "x")
    assert "added 0, already on the list 6, left before 1, refused 0" in again.stdout
    elsewhere(here)
    moved = here.run("subscriber", "import", here.folder / "first.csv", "--basis", "moved")
    assert "added 7" in moved.stdout
    here.run("subscriber", "export", here.folder / "second.csv")
    assert (here.folder / "second.csv").read_bytes() == first
    assert here.counts() == {"pending": 1, "confirmed": 5, "ended": 1}
    here.mail_server.mails.clear()
    here.run("run-due")
    assert here.mail_server.mails == [], "an import sends nothing"


def test_an_export_can_be_of_some_and_open_in_excel(here: Installation) -> None:
    here.run("subscriber", "import", here.write("odd.csv", ODD), "--basis", "x")
    assert [row["email"] for row in exported(here, "--language", "ar")] == ["benoit@xn--exmple-cua.org"]
    assert [row["email"] for row in exported(here, "--topic", "policy")] == ["'=cmd@gmail.com"]
    assert len(exported(here, "--frequency", "weekly", "--state", "confirmed")) == 3
    assert exported(here, "--state", "ended") == []
    assert here.run("subscriber", "list", "--topic", "policy").stdout.startswith("=cmd@gmail.com  confirmed  fr")
    here.run("subscriber", "export", "excel.csv", "--bom")
    assert (here.folder / "excel.csv").read_bytes().startswith(b"\xef\xbb\xbfemail,")
    assert "already on the list 5" in here.run("subscriber", "import", "excel.csv", "--basis", "x").stdout


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_pause_and_a_not_me_move_along(here: Installation) -> None:
    """D-130: nobody gets mail sooner than they want, and who protested is not asked again."""
    here.subscribed("ada@example.org")
    until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    here.site.post(here.manage_link("ada@example.org"), data={"paused_until": until})
    here.sign_up("eva@example.org")
    here.run("run-due")
    here.site.post(link_in(here.letters("eva@example.org")[0], "not-me"))
    here.run("subscriber", "export", "all.csv")
    before = here.json("subscriber", "show", "ada@example.org")["paused_until"]
    elsewhere(here)
    here.run("subscriber", "import", "all.csv", "--basis", "moved")
    here.mail_server.mails.clear()
    assert here.json("subscriber", "show", "ada@example.org")["paused_until"] == before
    here.sign_up("eva@example.org")
    here.run("run-due")
    assert here.mail_server.mails == []
    long = "email,paused_until\nbea@example.org,2999-01-01\n"
    refused = here.run("subscriber", "import", here.write("long.csv", long), "--basis", "x").output
    assert "paused_until '2999-01-01' is too late" in refused


def test_a_row_of_somebody_who_left_elsewhere_stays_left(here: Installation) -> None:
    rows = "E-Mail;state;ended_at\nada@example.org;ended;2024-01-31\nbenoit@example.org;pending;\n"
    here.run("subscriber", "import", here.write("left.csv", rows), "--basis", "the old list")
    assert here.counts() == {"pending": 1, "confirmed": 0, "ended": 1}
    later = here.run(
        "subscriber", "import", here.write("all.csv", rows.replace("ended;2", "confirmed;2")), "--basis", "x"
    )
    assert "added 0, already on the list 1, left before 1" in later.stdout
    assert here.json("subscriber", "show", "ada@example.org")["ended_at"] == "2024-01-31T00:00:00+00:00"


def test_refused_rows_can_be_mended_and_imported(here: Installation) -> None:
    """D-130: a line and its reason for each; the file of refused rows is a table again."""
    rows = ["mail,language,state", "a@x.org,,", "=2+3,,", "chen@x.org,tlh,", "dana@x.org,en,gone", "e@x.org,,,,more"]
    path = here.write("list.csv", "\n".join(rows))
    done = here.run("subscriber", "import", path, "--basis", "x", "--errors", "bad.csv")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [f"refused  line {n}" for n in range(3, 7)]
    bad = (here.folder / "bad.csv").read_text(encoding="utf-8")
    assert bad.startswith("mail,language,state,refused_because\n'=2+3,,,")
    assert "chen@x.org,tlh,,\"language 'tlh' is not one of" in bad
    here.write("bad.csv", bad.replace("tlh", "en").replace("gone", "ended"))
    again = here.run("subscriber", "import", "bad.csv", "--basis", "x")
    assert "added 3, already on the list 0, left before 0, refused 1" in again.stdout
    assert "name another one" in here.error("subscriber", "import", "bad.csv", "--basis", "x", "--errors", "bad.csv")


def test_a_dry_run_counts_what_an_import_would_do(here: Installation) -> None:
    """Doubles in different batches too, without a word to the database."""
    here.imported(3)
    here.run("subscriber", "unsubscribe", "person1@example.org")
    rows = "email\n" + "".join(f"person{number % 1500}@example.org\n" for number in range(2000)) + "nobody\n"
    path = here.write("many.csv", rows)
    told = here.json("subscriber", "import", path, "--basis", "x", "--dry-run")
    assert here.counts()["confirmed"] == 2
    done = here.json("subscriber", "import", path, "--basis", "x")
    assert done == {**told, "dry_run": False}
    assert (done["added"], done["known"] + done["left"], done["refused"]) == (1497, 503, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_other_programs_columns_can_be_left_aside(here: Installation) -> None:
    path = here.write("list.csv", "Name,Email Address\nAda,ada@example.org\n")
    assert "--ignore-unknown" in here.error("subscriber", "import", path, "--basis", "x")
    assert "added 1" in here.run("subscriber", "import", path, "--basis", "x", "--ignore-unknown").stdout


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_encoding_is_said_and_can_be_named(here: Installation) -> None:
    path = Path(here.folder / "list.csv")
    path.write_bytes("email,consent_source\nada@x.org,Москва\n".encode("cp1251"))
    assert "--encoding" in here.error("subscriber", "import", path, "--basis", "x")
    assert "no encoding 'x'" in here.error("subscriber", "import", path, "--basis", "x", "--encoding", "x")
    done = here.run("subscriber", "import", path, "--basis", "x", "--encoding", "windows-1251")
    assert "read as cp1251" in done.stdout
    assert here.json("subscriber", "show", "ada@x.org")["consent"][0]["source"] == "Москва"


def test_many_who_left_long_ago_are_forgotten_in_batches(here: Installation) -> None:
    """D-134: the term is a setting; more people than one batch takes."""
    rows = "".join(f"person{number}@example.org,ended,2025-01-{number % 28 + 1:02}\n" for number in range(1200))
    with time_machine.travel("2025-02-15T12:00:00Z") as clock:
        here.run("subscriber", "import", here.write("l.csv", f"email,state,ended_at\n{rows}"), "--basis", "x")
        here.configure(KEEP_ADDRESS_DAYS=60)
        here.run("run-due")
        assert len(here.json("subscriber", "list")) == 1200
        clock.move_to("2025-04-01T12:00:00Z")
        assert "forgot 1200 addresses" in here.run("run-due").stdout
        assert {each["email"] for each in here.json("subscriber", "list")} == {None}
        again = here.run("subscriber", "import", "l.csv", "--basis", "x")
        assert "added 0, already on the list 0, left before 1200" in again.stdout
