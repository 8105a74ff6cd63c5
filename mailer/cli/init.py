"""`mailer init`."""

import os
from pathlib import Path

import click
from flask_migrate import upgrade

from mailer.cli.common import application, say
from mailer.config import FILE, example, fresh_secret, settings
from mailer.lists import make_list


@click.command("init")
def command() -> None:
    """Write mailer.toml if there is none, create or upgrade the database, make the list.

    Repeatable: what is there stays as it is.

    \b
    Example:  mkdir list && cd list && mailer init && mailer serve
    """
    path = Path(os.environ.get("MAILER_CONFIG", FILE))
    if write_settings(path):
        say(f"wrote {path} with a fresh SECRET_KEY: read through it, above all BASE_URL and MAIL_…")
    with application():
        upgrade()
        say("the database is up to date")
        if make_list():
            say(f"made the list {settings().list_name}")
    say("next: 'mailer serve' for the site, 'mailer announcement add FILE…' for the first digest")


def write_settings(path: Path) -> bool:
    """Only the owner may read it: it holds the key that signs every link."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(example(SECRET_KEY=fresh_secret()))
    return True
