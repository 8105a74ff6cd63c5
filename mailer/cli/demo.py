"""`mailer demo`."""

import sys
import threading
from contextlib import suppress
from pathlib import Path

import click

from mailer.cli.common import say
from mailer.cli.serve import end_on_sigterm, serving
from mailer.demo.catcher import free_port
from mailer.demo.instance import Instance, instance
from mailer.demo.story import Story
from mailer.due import at_work


@click.command("demo")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="The port to serve on.")
@click.option("--once", is_flag=True, help="Play the whole story without a browser, check it, and end.")
def command(port: int, *, once: bool) -> None:
    """Try everything in a throw-away instance: a real site, real mail to a mailbox of its own, sample announcements.

    \b
    Example:  mailer demo --port 8080
    """
    port = free_port() if once else port
    with instance(port) as demo, serving(demo.app, "127.0.0.1", port, at_work(demo.app)) as server:
        if once:
            threading.Thread(target=server.run, daemon=True).start()
            Story(demo, f"http://127.0.0.1:{port}", say).play()
            return
        with suppress(KeyboardInterrupt):
            end_on_sigterm()
            for line in tutorial(demo, port):
                say(line)
            sys.stdout.flush()
            server.run()


def tutorial(demo: Instance, port: int) -> list[str]:
    """What a newcomer does next, ready to be copied."""
    command = Path(sys.argv[0]).absolute() if Path(sys.argv[0]).name == "mailer" else "mailer"
    number = demo.digest_id
    return [
        "A throw-away instance is running. It ends with Ctrl-C and leaves nothing behind.",
        "",
        f"  1. Sign up on the form        http://127.0.0.1:{port}/",
        f"  2. Open the mail, confirm     http://127.0.0.1:{port}/demo/mailbox",
        "",
        "  3. Once you have confirmed, look at the digest that is waiting, and send it, in a second terminal:",
        "",
        f"       export MAILER_CONFIG={demo.settings_file}",
        f"       {command} digest preview {number}",
        f"       {command} digest check {number}",
        f"       {command} digest send {number}",
        f"       {command} digest status {number}",
        "",
        "  4. Read it in the mailbox, and leave the list by its link.",
        "",
        "  5. Write one of your own:",
        "",
        f"       {command} announcement add FILE.md",
        f"       {command} digest compose",
    ]
