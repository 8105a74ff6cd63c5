"""`mailer config`."""

import re

import click

from mailer.cli.common import say
from mailer.config import SETTINGS, Config, as_toml, example, fresh_secret


@click.command("config")
@click.option("--example", "wants_example", is_flag=True, help="Print a commented mailer.toml instead.")
def command(*, wants_example: bool) -> None:
    """Print every setting with where its value comes from, secrets masked.

    \b
    Example:  mailer config --example > mailer.toml.example
    """
    if wants_example:
        say(example(SECRET_KEY=fresh_secret()))
        return
    config = Config.load()
    width = max(map(len, SETTINGS))
    for name, item in SETTINGS.items():
        value = getattr(config, item.name)
        shown = masked(item.name, value) if value and item.metadata["secret"] else as_toml(value)
        say(f"{name:<{width}}  {shown}  ({config.sources.get(item.name, 'default')})")


def masked(name: str, value: object) -> str:
    """Of a database's address, only the password is a secret."""
    if name != "database_url":
        return "********"
    return as_toml(re.sub(r"(://[^:/@]*):.*@", r"\1:********@", str(value)))
