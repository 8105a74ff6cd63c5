"""Installations of the product, made and used as an operator does it: by the `mailer` command in a folder.

One is prepared for each number of subscribers, with a draft ready; each run sends from a fresh copy of it.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from .postgres import Server
from .processes import Failed, Usage, measure

SETTINGS = {
    "MAILER_BASE_URL": "https://lists.example.org",
    "MAILER_MAIL_DEFAULT_SENDER": "Example News <news@lists.example.org>",
    "MAILER_POSTAL_ADDRESS": "1 Example Street, Example City",
}
TITLES = ("What the working group found", "Register for the spring course")
SENTENCE = "The office looked at how applications are examined, and where time is lost. "
SENTENCES = 6  # in each announcement: they make a copy of the digest as long as `copies` demands


@dataclass(frozen=True)
class Installation:
    """A folder with `count` confirmed subscribers and a draft; `server`, `database`, `url` only if on PostgreSQL."""

    folder: Path
    count: int
    digest: str = ""
    import_seconds: float = 0.0
    server: Server | None = None
    database: str = ""
    url: str = ""

    @property
    def kind(self) -> str:
        return "PostgreSQL" if self.server else "SQLite"

    def mailer(self, *arguments: str, code: int = 0, nice: int = 0, **settings: object) -> Usage:
        """The command as installed, with its defaults."""
        program = [*(["nice", "-n", str(nice)] if nice else []), command()]
        return measure([*program, *arguments], self.folder, self.environment(**settings), code)

    def environment(self, **settings: object) -> dict[str, str]:
        """Of its programs: nothing that our own environment says about it reaches them."""
        return environment({**settings, "DATABASE_URL": self.url} if self.url else settings)

    def send(self, port: int) -> Usage:
        """The whole of `digest send`. Raises Failed unless its account says, too, that everybody was served."""
        usage = self.mailer("digest", "send", self.digest, "--yes", MAIL_PORT=port)
        status = json.loads(self.mailer("digest", "status", self.digest, "--json").output)
        if (status["state"], status["enlisted"], status["accepted"]) != ("sent", self.count, self.count):
            raise Failed(f"of {self.count:,} copies {status['accepted']:,} are accounted as accepted: {status}")
        return usage


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Ours without what it says about the product, and with these settings."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MAILER_")}
    return ours | SETTINGS | {f"MAILER_{name}": str(value) for name, value in settings.items()}


def command(name: str = "mailer") -> str:
    """The program beside the Python that runs us."""
    found = Path(sys.executable).with_name(name)
    if not found.exists():
        raise Failed(f"there is no {found}: install the project into this Python's environment first")
    return str(found)


def prepare(parent: Path, count: int, server: Server | None = None) -> Installation:
    """A new installation with everybody imported and a draft composed, in a folder of its own."""
    new = Installation(Path(mkdtemp(dir=parent)), count)
    if server:
        database = f"prepared_{new.folder.name}"
        server.execute(f"CREATE DATABASE {database}")
        new = replace(new, server=server, database=database, url=server.url(database))
    new.mailer("init")
    seconds = import_people(new)
    composed = new.mailer("digest", "compose", *write_announcements(new.folder)).output
    if (
        server
    ):  # as autovacuum does within minutes of an import: else it would have come before some runs and not others
        server.execute("VACUUM ANALYZE", database=new.database)
    return replace(new, import_seconds=seconds, digest=composed.splitlines()[-1])


def import_people(installation: Installation) -> float:
    """Seconds of the whole `subscriber import`. Addresses are of one length, so that all copies of a digest are."""
    people, count = installation.folder / "people.csv", installation.count
    with people.open("w", encoding="utf-8") as file:
        file.write("email,language\n")
        file.writelines(f"person{number:07}@example.org,en\n" for number in range(count))
    seconds = installation.mailer("subscriber", "import", people.name, "--basis", "a benchmark").seconds
    people.unlink()
    confirmed = json.loads(installation.mailer("stats", "--json").output)["confirmed"]
    if confirmed != count:
        raise Failed(f"{confirmed:,} subscribers are confirmed after the import instead of {count:,}")
    return seconds


def write_announcements(folder: Path) -> list[str]:
    """The names of the announcements' files."""
    names = []
    for number, title in enumerate(TITLES, 1):
        head = (
            f"---\ntitle: {title}\ndate: 2024-03-0{number}\nlanguage: en\nurl: https://example.org/news/{number}\n---\n"
        )
        (folder / f"{number}.md").write_text(head + SENTENCE * SENTENCES, encoding="utf-8")
        names.append(f"{number}.md")
    return names


@contextmanager
def fresh_copy(prepared: Installation) -> Iterator[Installation]:
    """A copy to send from, on a disk at rest: else the sender's first commit would pay for writing the copy out."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(dir=prepared.folder.parent)))
        shutil.copytree(prepared.folder, folder, dirs_exist_ok=True)
        url = stack.enter_context(prepared.server.copy_of(prepared.database)) if prepared.server else ""
        os.sync()
        yield replace(prepared, folder=folder, url=url)
