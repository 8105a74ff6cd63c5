"""`mailer intake`: mail that comes in, by a mail server's pipe or by LMTP."""

import sys
from typing import BinaryIO

import click

from mailer import logs, parsing
from mailer.cli.common import application, say, stop_on_signals
from mailer.intake import taking
from mailer.intake.reading import KEPT, read

TRY_AGAIN = 75  # EX_TEMPFAIL in sysexits.h: the mail server keeps the mail


def endpoint(_: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    try:
        return parsing.endpoint(parsing.required_text(given)) if given is not None else None
    except ValueError as error:
        raise click.BadParameter(f"{given!r} {error}", param=parameter) from None


@click.command("intake")
@click.argument("recipients", nargs=-1, metavar="[RECIPIENT]…")
@click.option("--lmtp", "where", callback=endpoint, metavar="PORT|HOST:PORT|unix:PATH", help="Listen there instead.")
@click.pass_context
def command(context: click.Context, recipients: tuple[str, ...], where: str | None) -> None:
    """Let people leave who write to INTAKE_ADDRESS: one mail from standard input, or what comes in by LMTP.

    RECIPIENT is the envelope's; without it, what the mail's headers say. Nothing is ever answered. Exit code 75, if the
    database can't be used: the mail server tries again.

    \b
    Examples:  mailer intake -- "$RECIPIENT" < mail.eml
               mailer intake --lmtp 127.0.0.1:8024
    """
    logs.set_up(logs.JsonFormatter())
    if where:
        listen(where)
    else:
        context.exit(take_one(recipients))


def take_one(recipients: tuple[str, ...]) -> int:
    try:
        mail = read(beginning_of(sys.stdin.buffer))
        with application(lean=True):
            taking.take(recipients or mail.addressed, mail)
    except Exception as error:  # any other exit code would return the mail to its sender
        taking.tell(error)
        return TRY_AGAIN
    return 0


def beginning_of(stream: BinaryIO) -> bytes:
    """All is read, so that the mail server can write all: it might take a broken pipe for trouble."""
    beginning = stream.read(KEPT)
    while stream.read(KEPT):
        pass
    return beginning


def listen(where: str) -> None:
    from mailer.intake.lmtp import listening

    with application(lean=True) as app, stop_on_signals() as stop, listening(app, where) as address:
        say(f"taking mail at {address}; stop with Ctrl-C")
        stop.wait()
