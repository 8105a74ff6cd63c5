"""The product as its users meet it: a folder with settings, the `mailer` command, the site, a mailbox."""

import json
import os
import re
import subprocess
import sys
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from waitress.server import create_server
from werkzeug.test import TestResponse

from mailer.app import create_app
from mailer.cli import main
from mailer.config import Config, example
from mailer.db import db

from .servers.smtp import Mail, SmtpServer

SECRET = "a secret of the tests that is long enough"
BASE_URL = "http://127.0.0.1:8000"

RECAP = """---
title: What 160 countries discussed
date: 2023-09-22
url: https://example.org/recap
topics: [policy]
key: recap
---
The **Conversation** closed on Thursday. The [agenda](https://example.org/agenda) was long.

- how models are trained
- who owns what they make
"""
RECAP_FR = """---
title: Ce dont 160 pays ont discuté
date: 2023-09-22
url: https://example.org/fr/recap
translation-of: recap
language: fr
---
La **Conversation** s’est achevée jeudi.
"""


class Client(FlaskClient):
    """Reads every answer to its end, so that files are closed."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return super().open(*args, **{"buffered": True, **kwargs})


class Installation:
    def __init__(self, folder: Path, database_url: str, mail_server: SmtpServer) -> None:
        self.folder, self.mail_server = folder, mail_server
        self.settings: dict[str, str | int] = {
            "SECRET_KEY": SECRET,
            "DATABASE_URL": database_url,
            "BASE_URL": BASE_URL,
            "MAIL_PORT": mail_server.port,
            "MAIL_DEFAULT_SENDER": "Frontier Technologies <news@lists.example.org>",
            "MAIL_TIMEOUT": 2,
        }
        self.configure()

    def configure(self, **settings: str | int) -> None:
        """Write mailer.toml anew; what is running keeps its settings."""
        self.close()
        self.settings.update(settings)
        (self.folder / "mailer.toml").write_text(example(**self.settings), encoding="utf-8")

    @cached_property
    def app(self) -> Flask:
        return create_app(Config.load({}, self.folder))

    @property
    def site(self) -> FlaskClient:
        return Client(self.app, use_cookies=False)

    def close(self) -> None:
        if "app" in self.__dict__:
            with self.app.app_context():
                db.session.remove()
                db.engine.dispose()
            del self.app

    def run(self, *args: object, code: int = 0, input: str | bytes | None = None) -> Result:
        """`mailer ARGS…` in the installation's folder; fails unless it ends with `code`, or shows a traceback."""
        result = CliRunner().invoke(main, [str(arg) for arg in args], input=input, catch_exceptions=False)
        told = f"mailer {' '.join(map(str, args))}: {result.exit_code}\n{result.output}"
        assert result.exit_code == code, told
        return result

    def run_apart(self, *args: object, code: int = 0, **environ: str) -> str:
        """The same as a process of its own, which shares no connection to a broker; what it said."""
        command = [sys.executable, "-m", "mailer", *map(str, args)]
        everything = {**os.environ, **environ}
        done = subprocess.run(
            command, cwd=self.folder, env=everything, capture_output=True, text=True, timeout=300, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said
        return said

    def json(self, *args: object, code: int = 0) -> Any:
        return json.loads(self.run(*args, "--json", code=code).stdout)

    def error(self, *args: object, code: int = 1) -> str:
        """The one line that a failing command says on stderr."""
        said = self.run(*args, code=code).stderr.strip()
        assert len(said.splitlines()) == 1, said
        assert said.startswith("mailer: "), said
        return said

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    # What people do.

    def sign_up(self, email: str, **fields: Any) -> str:
        answer = self.site.post("/subscribe", data={"email": email, **fields})
        assert answer.status_code == 200, answer.text
        return answer.text

    def confirm(self, email: str) -> None:
        """Read the newest letter to `email`, follow its link, press the button."""
        link = link_in(self.letters(email)[-1], "confirm")
        assert "<button" in self.site.get(link).text
        answer = self.site.post(link)
        assert answer.status_code == 200, answer.text

    def manage_link(self, email: str) -> str:
        """Ask on the page for a link to one's settings, and find it in the mailbox."""
        assert self.site.post("/manage", data={"email": email}).status_code == 200
        self.run("run-due")
        return link_in(self.letters(email)[-1], "manage")

    def letters(self, email: str) -> list[Mail]:
        return self.mail_server.to(email)

    def subscribed(self, *emails: str, language: str = "en") -> None:
        """People who signed up and confirmed; the mailbox is empty again."""
        for email in emails:
            self.sign_up(email, language=language)
        self.run("run-due")
        for email in emails:
            self.confirm(email)
        self.mail_server.mails.clear()

    def imported(self, count: int) -> None:
        """`count` confirmed people, without a letter each."""
        rows = "".join(f"person{number}@example.org\n" for number in range(count))
        self.run("subscriber", "import", self.write("people.csv", f"email\n{rows}"), "--basis", "a test")

    def draft(self, *files: str) -> int:
        """A digest of these announcements (the recap in two languages unless told)."""
        paths = [self.write(f"{number}.md", text) for number, text in enumerate(files or (RECAP, RECAP_FR))]
        return int(self.run("digest", "compose", *paths).stdout.splitlines()[-1])

    def counts(self) -> dict[str, int]:
        """How many subscriptions are in each state."""
        found = self.json("stats")
        return {state: found[state] for state in ("pending", "confirmed", "ended")}

    def status(self, digest: int) -> dict[str, Any]:
        """The digest's account, checked to be balanced."""
        found: dict[str, Any] = self.json("digest", "status", digest)
        states = ("queued", "sending", "accepted", "deferred", "bounced", "blocked", "cancelled", "unknown")
        assert found["enlisted"] == sum(found[state] for state in states), found
        return found


def link_in(mail: Mail, page: str) -> str:
    """The one address of `page` in the text of a mail, as a path on the site; it may lead to places on it, too."""
    found = set(re.findall(rf"{re.escape(BASE_URL)}(/{page}/[^\s#]+)", mail.part("plain")))
    assert len(found) == 1, f"{len(found)} links to /{page}/ in:\n{mail.part('plain')}"
    return str(found.pop())


def leave_link(mail: Mail) -> str:
    """The one-click address in a mail's header, as a path on the site."""
    header = str(mail.message["List-Unsubscribe"])
    return header.partition(">")[0].removeprefix("<" + BASE_URL)


class LiveSite:
    """The site on a real port, for browsers and one-click requests. Use as a context manager."""

    def __init__(self, app: Flask) -> None:
        self.server = create_server(app, host="127.0.0.1", port=0, clear_untrusted_proxy_headers=False)
        self.url = f"http://127.0.0.1:{self.server.effective_port}"
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> "LiveSite":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.task_dispatcher.shutdown()  # whoever is answering still rings the loop's bell
        self.server.trigger.pull_trigger(self._close)
        self.thread.join(5)

    def _close(self) -> None:
        """Close every socket on the loop's own thread: one closed under its `select` is an error."""
        for channel in list(self.server.active_channels.values()):
            channel.handle_close()
        self.server.close()
