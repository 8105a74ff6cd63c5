"""gunicorn for the site, with several processes and an access log that holds no token:

gunicorn --config gunicorn.conf.py "mailer.app:create_app()"

Only the site: letters are sent by `mailer work` beside it, or by `mailer run-due`, every minute from cron.
Several processes need a database that several can write to at once: PostgreSQL.
"""

import re
from typing import Any

from gunicorn.glogging import Logger

bind = "127.0.0.1:8000"
workers = 4
threads = 2
timeout = 30
keepalive = 30
limit_request_line = 4094
forwarded_allow_ips = "127.0.0.1"  # of gunicorn itself; whom the product believes says TRUSTED_PROXIES

accesslog = "-"
access_log_format = '%(h)s [%(t)s] "%(r)s" %(s)s %(b)s %(L)s "%(a)s"'


def post_worker_init(worker: Any) -> None:
    """Tell the site that visitors may come, and how many requests wait for a thread: beyond some, sign-ups are told at
    once to come again (limits.md)."""
    from mailer.web.visitors import open_doors

    open_doors(worker.wsgi, worker.tpool._work_queue.qsize)


TOKEN = re.compile(r"(/(?:confirm|unsubscribe|manage|not-me)/)[^\s?/]+")
QUERY = re.compile(r"\?\S*")


class MaskedLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """A link from a letter opens somebody's subscription to who holds it. The log gets the page and not the token, no
    query (it may hold an address), and no referrer."""

    def atoms(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        atoms: dict[str, Any] = super().atoms(*args, **kwargs)
        for name in ("r", "U"):
            atoms[name] = QUERY.sub("", TOKEN.sub(r"\1*", str(atoms[name])))
        return {**atoms, "q": "", "f": "-"}


logger_class = MaskedLogger
