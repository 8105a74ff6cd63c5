"""No text that readers meet is written into a template or into code, past the translators: D-192. And a new language is
a catalogue and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import write_po

from .. import catalogues
from .pseudo import CODE


def pseudo_catalogue() -> Catalog:
    catalogue = Catalog(locale=CODE)
    for message in catalogues.texts():
        if message.id:
            texts = [message.id] if isinstance(message.id, str) else message.id
            marked = tuple(f"⟦{text}⟧" for text in texts)
            catalogue.add(message.id, marked[0] if isinstance(message.id, str) else marked, context=message.context)
    return catalogue


def test_every_text_that_readers_meet_is_translated(tmp_path: Path) -> None:
    copy, folder = tmp_path / "copy", tmp_path / "list"
    for name in ("mailer", "templates", "migrations"):
        shutil.copytree(catalogues.ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    target = copy / "mailer" / "translations" / CODE / "LC_MESSAGES"
    target.mkdir(parents=True)
    folder.mkdir()
    with (target / "messages.po").open("wb") as file:
        write_po(file, pseudo_catalogue())
    command = [sys.executable, "-m", "tests.project.pseudo", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(copy), str(catalogues.ROOT)])}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", done.stdout
