"""Installations of the product, prepared once for each size and copied for each experiment."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..installation import RECAP, RECAP_FR, SECRET
from ..servers import postgres
from .cluster import Cluster
from .product import Product

PARAGRAPH = "The agenda was long, and everybody had much to say about each of its many points. " * 6
LONG_PARAGRAPHS = 160  # as long as a letter may be before mail providers cut it off


@dataclass(frozen=True)
class Size:
    """What has to be prepared: how many people, and whether their letter is a long one."""

    people: int
    long: bool = False

    @property
    def name(self) -> str:
        return f"{'long' if self.long else 'short'}_{self.people}"

    @property
    def addresses(self) -> list[str]:
        return [f"person{number}@example.org" for number in range(self.people)]


class Workshop:
    """Use as a context manager: it holds a temporary folder, and a PostgreSQL once one is asked for."""

    def __init__(self, tmpfs: bool | None = None) -> None:
        self.stack = contextlib.ExitStack()
        self.prepared: set[str] = set()
        self.count = 0
        self.may_mount = tmpfs

    def __enter__(self) -> "Workshop":
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="mailer-chaos-")))
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    @cached_property
    def cluster(self) -> Cluster:
        binaries = postgres.find_binaries()
        if not binaries:
            raise LookupError(postgres.ADVICE)
        return self.stack.enter_context(Cluster(binaries))

    @cached_property
    def startup(self) -> float:
        """How long a command takes that does next to nothing: what a kill's instant is measured by."""
        folder = self.template(Size(40), "sqlite")
        begun = time.monotonic()
        Product(folder).start("digest", "status", "1").communicate()
        return time.monotonic() - begun

    @cached_property
    def tmpfs_allowed(self) -> bool:
        if self.may_mount is None:
            with contextlib.suppress(OSError, subprocess.CalledProcessError), small_disk(self.folder / "probe", 1):
                return True
            return False
        return self.may_mount

    def template(self, size: Size, kind: str) -> Path:
        """The folder of a prepared installation: people imported, a draft composed."""
        name = f"{kind}_{size.name}"
        folder = self.folder / name
        if name not in self.prepared:
            folder.mkdir()
            url = self.cluster.create(name) if kind == "postgresql" else "sqlite:///mailer.db"
            prepare(folder, url, size)
            self.prepared.add(name)
        return folder

    @contextlib.contextmanager
    def installation(self, size: Size, kind: str, *, megabytes: int = 0, **settings: Any) -> Iterator[Product]:
        """A copy with these settings; with `megabytes` on a disk of its own that is so small."""
        self.count += 1
        template, folder = self.template(size, kind), self.folder / f"experiment_{self.count}"
        with contextlib.ExitStack() as stack:
            if megabytes:
                stack.enter_context(small_disk(folder, megabytes))
            shutil.copytree(template, folder, dirs_exist_ok=True)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            url = "sqlite:///mailer.db"
            if kind == "postgresql":
                url = self.cluster.create(folder.name, template.name)
                stack.callback(self.cluster.drop, folder.name)
            product = Product(folder)
            product.configure(SECRET_KEY=SECRET, DATABASE_URL=url, **settings)
            yield product


def prepare(folder: Path, database_url: str, size: Size) -> None:
    product = Product(folder)
    product.configure(SECRET_KEY=SECRET, DATABASE_URL=database_url)
    product.run("init")
    languages = ("en", "en", "fr")
    rows = "".join(f"{email},{languages[number % 3]}\n" for number, email in enumerate(size.addresses))
    (folder / "people.csv").write_text(f"email,language\n{rows}", encoding="utf-8")
    product.run("subscriber", "import", "people.csv", "--basis", "chaos")
    words = f"{PARAGRAPH}\n\n" * LONG_PARAGRAPHS if size.long else ""
    for name, text in (("en.md", RECAP), ("fr.md", RECAP_FR)):
        (folder / name).write_text(text + words, encoding="utf-8")
    product.run("digest", "compose", "en.md", "fr.md")


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system in memory. Raises CalledProcessError or OSError where this user may not mount one."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "mailer-chaos", folder], check=True, capture_output=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, capture_output=True)
        folder.rmdir()
