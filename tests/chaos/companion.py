"""A sender in a seat of its own, until nothing is left to do: `python -m tests.chaos.companion DIGEST SEAT`."""

import sys
import threading
import time

from mailer.app import create_app
from mailer.db import db
from mailer.digests import compose, sending
from mailer.errors import MailerError

PATIENCE = 30.0  # seconds until the digest is being sent


def main(digest: int, seat: int) -> None:
    deadline = time.monotonic() + PATIENCE
    with create_app(lean=True).app_context():
        while compose.find(digest).state in sending.STARTABLE and time.monotonic() < deadline:
            db.session.rollback()
            time.sleep(0.05)
        try:
            sending.deliver(digest, seat=seat, stop=threading.Event())
        except MailerError as error:
            sys.stderr.write(f"mailer: {error}\n")
            sys.exit(error.exit_code)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
