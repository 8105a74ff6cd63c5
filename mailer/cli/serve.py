"""`mailer serve`: the site, and the sender beside it."""

import errno
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, cast

import click
from flask import Flask
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from mailer import logs
from mailer.app import LARGEST_REQUEST
from mailer.cli import beside
from mailer.cli.common import application, check_database, say
from mailer.config import settings
from mailer.errors import MailerError
from mailer.web.pages import headers
from mailer.web.visitors import open_doors

THREADS = 6  # of which three may wait for the DNS; one interpreter answers all, so more would be in each other's way


class Refusal(ErrorTask):
    """The server's own answer to what is no request, or too large a one. It has the headers of every answer, too."""

    def execute(self) -> None:
        app = cast(Flask, self.channel.server.application)
        with app.app_context():
            self.response_headers = [*self.response_headers, *headers().items()]
        super().execute()


class Channel(HTTPChannel):
    error_task_class = Refusal

    def writable(self) -> bool:
        """Not while a thread is sending by itself: until it has done so, the loop that asks could only ask again, and
        would, thousands of times a second, for which that thread has to wait."""
        if not (super().writable() and self.outbuf_lock.acquire(blocking=False)):
            return False
        self.outbuf_lock.release()
        return True


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, help="The port to listen on.", type=click.IntRange(0, 65535))
@click.option("--no-sender", is_flag=True, help="Only the site; 'mailer work' sends.")
def command(host: str, port: int, *, no_sender: bool) -> None:
    """Serve the site, and send what is due in a process beside it, unless workers do that (ENGINE).

    \b
    Example, behind a proxy that speaks TLS:  mailer serve --port 8000
    """
    logs.set_up(logs.JsonFormatter())
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # which tells of every request that had to wait
    with application() as app:
        check_database()
        end_on_sigterm()
        sends = not no_sender and settings().engine == "embedded"
        with (
            intake(app, settings().intake_listen),
            serving(app, host, port, beside.sender() if sends else nullcontext()) as server,
            suppress(KeyboardInterrupt),
        ):
            address = f"http://{host}:{server.effective_port}"
            say(f"serving on {address} (public address: {settings().base_url}); stop with Ctrl-C")
            server.run()


def intake(app: Flask, where: str) -> AbstractContextManager[object]:
    """A listener for the mail of people who leave by mail, if the settings want one."""
    if not where:
        return nullcontext()
    from mailer.intake.lmtp import listening

    return listening(app, where)


@contextmanager
def serving(app: Flask, host: str, port: int, sender: AbstractContextManager[None]) -> Iterator[Any]:
    """A server that is listening, and a sender that ends after it. Raises MailerError if the port is taken."""
    server: Any = create_server(
        app,
        sockets=[listen(host, port)],
        ident="",
        threads=THREADS,
        # Idle visitors hold a connection each: with the default of 100, that many would keep everybody else out.
        connection_limit=1000,
        asyncore_use_poll=True,  # which `select` can't watch
        channel_timeout=30,
        max_request_body_size=2 * LARGEST_REQUEST,
        # Which of them to believe is decided in app.py, for every server alike.
        clear_untrusted_proxy_headers=False,
    )
    server.channel_class = Channel
    open_doors(app, server.task_dispatcher.queue.__len__)
    with sender:
        try:
            yield server
        finally:
            server.close()


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        reason = os.strerror(getattr(error, "errno", None) or errno.EADDRNOTAVAIL)
        raise MailerError(f"can't listen on {host}:{port} ({reason}); choose another --port or --host") from None


def end_on_sigterm() -> None:
    """SIGTERM ends as Ctrl-C does, also where a shell started us with SIGINT ignored."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
