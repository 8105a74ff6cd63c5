"""D-135: a backup that is restored has forgotten who left since; nobody of them is written to again."""

import shutil
from pathlib import Path

import pytest

from ..installation import Installation, leave_link
from .test_editions import news

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PEOPLE = [f"{name}@example.org" for name in ("ada", "bob", "cy", "dan", "eve")]


@pytest.fixture
def links(here: Installation) -> dict[str, str]:
    """Everybody got a digest, with a link to leave by; then a backup was made."""
    here.subscribed(*PEOPLE)
    here.run("digest", "send", here.draft(), "--yes")
    found = {email: leave_link(here.letters(email)[0]) for email in PEOPLE}
    here.mail_server.mails.clear()
    here.close()
    shutil.copy(here.folder / "mailer.db", here.folder / "backup.db")
    return found


def restore(here: Installation) -> None:
    here.close()
    for side in ("-wal", "-shm"):
        (here.folder / f"mailer.db{side}").unlink(missing_ok=True)
    shutil.copy(here.folder / "backup.db", here.folder / "mailer.db")


def receivers(here: Installation) -> list[str]:
    return sorted(mail.to for mail in here.mail_server.mails)


def leave_in_many_ways(here: Installation, links: dict[str, str]) -> None:
    """Ada leaves, Bob is erased, Cy takes it back, Dan is taken off the list; Eve stays."""
    ada, cy = links["ada@example.org"], links["cy@example.org"]
    here.site.post(ada, data={"List-Unsubscribe": "One-Click"})
    here.run("subscriber", "erase", "bob@example.org")
    left = here.site.post(cy)
    token = left.text.partition("/goodbye/")[2].partition('"')[0].partition("?")[0]
    assert "subscribed" in here.site.post(f"/goodbye/{token}", data={"undo": "1"}).text
    here.run("subscriber", "unsubscribe", "dan@example.org")


@pytest.mark.parametrize("how", ["send", "run-due"])
def test_who_left_since_the_backup_gets_nothing(here: Installation, links: dict[str, str], how: str) -> None:
    leave_in_many_ways(here, links)
    restore(here)
    assert here.json("stats")["confirmed"] == 5, "the backup knows nothing of it"
    if how == "run-due":
        here.run("run-due")
        assert here.json("stats")["confirmed"] == 2
    here.run("digest", "send", here.draft(news("next")), "--yes", "--expect", "2")
    assert receivers(here) == ["cy@example.org", "eve@example.org"]
    assert "bob@example.org is not on the list" in here.error("subscriber", "show", "bob@example.org")
    assert b"bob@example.org" not in (here.folder / "mailer.db").read_bytes()


def test_who_came_back_is_not_sent_away_by_an_old_line(here: Installation, links: dict[str, str]) -> None:
    here.site.post(links["ada@example.org"])
    here.subscribed("ada@example.org")
    here.run("run-due")
    assert here.json("stats")["confirmed"] == 5


def test_departures_name_nobody_and_are_for_their_owner_only(here: Installation, links: dict[str, str]) -> None:
    leave_in_many_ways(here, links)
    (path,) = (here.folder / "journal").glob("*.departures")
    told = path.read_text(encoding="utf-8")
    assert [line.split()[1] for line in told.splitlines()] == ["left", "erased", "left", "resumed", "left"]
    assert "@" not in told
    assert path.stat().st_mode & 0o077 == 0


def test_a_line_that_was_cut_off_harms_no_other(here: Installation, links: dict[str, str]) -> None:
    here.site.post(links["ada@example.org"])
    (path,) = (here.folder / "journal").glob("*.departures")
    path.write_text("2026-13-01 left x\n\n2026-01-01T00:00:00+00:00 left\n" + path.read_text() + "2026-01-0")
    restore(here)
    here.run("run-due")
    assert here.json("stats")["confirmed"] == 4


def test_leaving_works_where_nothing_can_be_written_beside_the_database(
    here: Installation, links: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(here.folder / "journal")
    Path(here.folder / "journal").write_text("no folder")
    assert here.site.post(links["ada@example.org"]).status_code == 200
    assert "would not know who left" in caplog.text
