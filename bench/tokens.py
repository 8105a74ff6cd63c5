"""`python -m bench.tokens COUNT`, in an installation's folder: unsubscribe tokens as people's letters carry them."""

import sqlite3
import sys
from pathlib import Path

from mailer.config import Config
from mailer.links import Links


def main() -> None:
    config = Config.load({}, Path.cwd())
    links = Links(config.base_url, config.secret_key)
    with sqlite3.connect("mailer.db") as database:
        rows = database.execute("SELECT uid FROM subscriber ORDER BY random() LIMIT ?", (int(sys.argv[1]),))
        print(*(links.unsubscribe_token(uid, 1) for (uid,) in rows), sep="\n")


if __name__ == "__main__":
    main()
