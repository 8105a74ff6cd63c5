"""`mailer work`: the sender without the site."""

import click

from mailer import logs
from mailer.cli import beside
from mailer.cli.common import application, check_database, say, stop_on_signals
from mailer.config import settings
from mailer.due import at_work
from mailer.errors import NotAllowed


@click.command("work")
@click.option("--beside", "line", type=int, hidden=True, help="The end of a line to the site that wants a sender.")
def command(line: int | None) -> None:
    """Do what is due as soon as it is, until Ctrl-C or SIGTERM: for installations whose site is served by others.

    Several may run, on one host or on many: each digest is sent by one of them at a time, and another takes over when
    that one dies.

    \b
    Example, beside gunicorn:  mailer work
    """
    logs.set_up(logs.JsonFormatter())
    with application(lean=True) as app, stop_on_signals() if line is None else beside.answering(line) as stop:
        if settings().engine == "celery":
            raise NotAllowed("ENGINE is celery, whose workers begin with 'celery -A mailer.tasks worker'")
        check_database()
        if line is None:
            say("at work on what is due; stop with Ctrl-C")
        with at_work(app):
            stop.wait()
