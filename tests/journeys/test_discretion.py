"""Nothing that is written beside the database names a person or holds a link of theirs."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest

from ..installation import BASE_URL, Installation, leave_link, link_in
from ..servers.ports import free_port

ADA = "ada.lovelace@example.org"


def call(url: str, **fields: str) -> int:
    """POST; the status, whatever it is."""
    try:
        with urllib.request.urlopen(url, urllib.parse.urlencode(fields).encode(), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_log_of_a_whole_journey_names_anybody(here: Installation) -> None:
    """D-154, D-155: sign-up, confirmation, a digest that is refused, a database that is locked, a bug, leaving."""
    here.mail_server.answer("RCPT", ADA, f"451 4.2.0 <{ADA}> is busy; \r\n", times=1)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mailer", "serve", "--port", str(port)]
    served = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert served.stdout
    served.stdout.readline()
    assert call(f"{url}/subscribe", email=ADA) == 200
    assert call(f"{url}/subscribe", email="benoit@example.org") == 200
    here.mail_server.wait_for(1)
    confirm = link_in(here.letters("benoit@example.org")[0], "confirm")
    breaking = sqlite3.connect(here.folder / "mailer.db", isolation_level=None)
    breaking.execute("ALTER TABLE consent_event RENAME TO elsewhere")
    assert call(url + confirm) == 503
    breaking.execute("ALTER TABLE elsewhere RENAME TO consent_event")
    breaking.execute("UPDATE subscription SET left_because = 'no word of ours'")
    assert call(url + confirm) == 500, "a bug, with its trace in the log"
    breaking.execute("UPDATE subscription SET left_because = NULL")
    breaking.close()
    assert call(url + confirm) == 200
    sent = here.run("digest", "send", here.draft(), "--yes")
    leave = leave_link(here.letters("benoit@example.org")[-1])
    assert call(url + leave) == 200
    served.send_signal(signal.SIGTERM)
    _, said = served.communicate(timeout=60)
    assert "Traceback" in said, "the journey was rough enough to be logged"
    told = said + sent.output + "".join(path.read_text() for path in here.folder.glob("journal/*"))
    told += here.run("digest", "report", 1).stdout.replace("benoit@example.org  accepted", "")
    assert f"<{ADA}>" not in str(here.json("subscriber", "show", ADA)["deliveries"]), "nor does a server's reply"
    tokens = [link.removeprefix(BASE_URL).split("/")[2].split("?")[0] for link in (confirm, leave)]
    for secret in (ADA, "benoit@", *tokens, *(token.rpartition(".")[2] for token in tokens)):
        assert secret not in told
    assert all(re.match(r'\{"at": "[^\n]*"\}$', line) for line in said.splitlines()), said
