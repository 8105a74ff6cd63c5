"""The `mailer` command: one file per noun. Parse, call one verb, print what came of it."""

import importlib
import io
import sys
from typing import Any

import click

from mailer import __version__, logs
from mailer.errors import MailerError

# name: (module, one line of help). A command's module is loaded when it is called, so that `mailer --version` is quick.
COMMANDS = {
    "init": ("init", "Make mailer.toml, the database and the list. Repeatable."),
    "serve": ("serve", "Serve the site, and send what is due."),
    "work": ("work", "Send what is due, without the site."),
    "intake": ("intake", "Take the mail of people who leave by mail."),
    "demo": ("demo", "Try everything in a throw-away instance."),
    "config": ("config", "Print every setting and where it comes from."),
    "db": ("database", "Migrations (Flask-Migrate's commands)."),
    "run-due": ("due", "Do what is due now: letters, retries, scheduled digests. For cron."),
    "announcement": ("announcement", "Add, import, edit, list, show and remove announcements."),
    "digest": ("digest", "Compose, preview, test and send digests."),
    "check-message": ("message", "Check any mail by the standards of mail."),
    "topic": ("topic", "Name, order and retire the topics that people choose."),
    "subscriber": ("subscriber", "Look after the people on the list."),
    "wording": ("wording", "Look up what people agreed to, in every version."),
    "top": ("top", "Watch digests go out, live."),
    "stats": ("stats", "The list in numbers."),
    "audit": ("audit", "Read what operators did."),
}


class Commands(click.Group):
    """Loads a command when it is named. Turns our errors into one line on stderr and the exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"mailer.cli.{COMMANDS[name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal that can't show a letter shows a mark instead
                stream.reconfigure(errors="replace")
        logs.set_up(logs.PlainFormatter())
        try:
            return super().invoke(ctx)
        except MailerError as error:
            fail(error)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(1)
        except OSError as error:
            fail(MailerError(f"{error.filename or 'the system'}: {error.strerror or error}"))
        except Exception as error:
            known = database_error(error)
            if known is None:
                raise
            fail(known)


def fail(error: MailerError) -> None:
    click.echo(f"mailer: {error}", err=True)
    sys.exit(error.exit_code)


def database_error(error: Exception) -> MailerError | None:
    """Ours for SQLAlchemy's, which is loaded only when a command has loaded it."""
    if "sqlalchemy" not in sys.modules:
        return None
    from mailer.db import explain

    return explain(error)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="mailer %(version)s")
def main() -> None:
    """A mailing-list manager for announcement lists.

    Begin with `mailer init`, or try everything with `mailer demo`.
    """
