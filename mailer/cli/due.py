"""`mailer run-due`."""

import click

from mailer import logs
from mailer.cli.common import say, stop_on_signals, with_app
from mailer.due import run_due


@click.command("run-due")
@with_app
def command() -> None:
    """Do what is due now: waiting letters, second tries, scheduled digests. `mailer serve` does it by itself.

    \b
    Example, in a crontab:  * * * * *  cd /srv/list && mailer run-due
    """
    logs.set_up(logs.JsonFormatter())
    with stop_on_signals() as stop:
        for line in run_due(stop) or ["nothing is due"]:
            say(line)
