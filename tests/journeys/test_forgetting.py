"""Erasure and retention: what is forgotten, what is remembered of it, and for how long."""

from collections.abc import Iterator

from ..installation import Installation, leave_link
from ..servers import postgres

ADA = "ada.lovelace@example.org"
PERSONAL = ("ada.lovelace", "192.0.2.77", "Adas-Browser")


def traces(here: Installation, *words: str) -> list[str]:
    """Where any of these words stands: in files (the database's among them), or in PostgreSQL's rows."""
    return [name for name, content in contents(here) if any(word.encode() in content for word in words)]


def contents(here: Installation) -> Iterator[tuple[str, bytes]]:
    yield from ((path.name, path.read_bytes()) for path in here.folder.rglob("*") if path.is_file())
    url = str(here.settings["DATABASE_URL"])
    if url.startswith("postgresql"):
        yield from ((row, row.encode()) for row in postgres.rows(url.replace("+psycopg", "")))


def lived_here(here: Installation, email: str) -> str:
    """Somebody of whom an installation knows all it can know; the link in their last digest."""
    visitor = {"headers": {"User-Agent": "Adas-Browser/1"}, "environ_base": {"REMOTE_ADDR": "192.0.2.77"}}
    here.site.post("/subscribe", data={"email": email, "topics": ["policy"]}, **visitor)  # type: ignore[arg-type]
    here.run("run-due")
    here.confirm(email)
    here.run("digest", "send", here.draft(), "--yes")
    link = leave_link(here.letters(email)[-1])
    here.mail_server.answer("RCPT", email, f"451 4.2.0 <{email}> is busy", times=1)
    here.run("digest", "send", here.draft(), "--yes", code=1)
    return link


def test_who_is_erased_leaves_no_trace(here: Installation) -> None:
    """D-133: nothing in the whole database, its write-ahead log and the journals."""
    here.imported(300)
    link = lived_here(here, ADA)
    assert traces(here, *PERSONAL)
    assert here.run("subscriber", "erase", "ADA.Lovelace@Example.org").stdout == "erased\n"
    here.close()
    assert traces(here, *PERSONAL) == []
    assert "is not on the list" in here.error("subscriber", "show", ADA)
    assert here.json("stats") == {"pending": 0, "confirmed": 300, "ended": 1}
    assert here.status(1)["accepted"] == 301, "the accounts still add up"
    for answer in (here.site.get(link), here.site.post(link)):  # D-28
        assert answer.status_code == 200
