"""`python -m bench.tokens PURPOSE COUNT`, in an installation's folder: tokens as people's letters carry them.

PURPOSE is `unsubscribe`, of confirmed people, or `confirm`, of pending ones.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine, text

from mailer.config import Config
from mailer.links import Links, Purpose

UIDS = """
SELECT uid FROM subscriber JOIN subscription ON subscription.subscriber_id = subscriber.id
WHERE state = :state ORDER BY random() LIMIT :count
"""


def main(purpose: str, count: int) -> None:
    config = Config.load(os.environ, Path.cwd())
    links, at = Links(config.base_url, config.secret_key), datetime.now(UTC)
    state = "pending" if purpose == "confirm" else "confirmed"
    with create_engine(config.database_url).connect() as connection:
        uids = connection.scalars(text(UIDS), {"state": state, "count": count}).all()
    if purpose == "confirm":
        print(*(links.passing_token(Purpose.CONFIRM, uid, 1, at) for uid in uids), sep="\n")
    else:
        print(*(links.unsubscribe_token(uid, 1) for uid in uids), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
