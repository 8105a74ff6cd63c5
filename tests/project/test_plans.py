"""Among many people: what happens all the time searches no large table from end to end.

The plans are those that were carried out: the server's own auto_explain tells them while people and operators do what
they do. SQLite tells how many steps it took.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, event

from mailer.addresses import parse
from mailer.db import db, transaction
from mailer.links import links
from mailer.lists import list_id
from mailer.models import Subscriber
from mailer.subscriptions import consent
from mailer.subscriptions.asking import SignUp
from mailer.subscriptions.verbs import Request, take_in

from ..installation import Installation, leave_link, link_in
from ..servers import postgres

LARGE = {"subscriber", "subscription", "consent_event", "delivery"}
TOKEN = "a token of the tests that is long enough"
PEOPLE = 1_000_000
DIGEST = 50_000  # letters of each digest; the last is under way
OPEN = 100  # of its letters were never tried, and as many were put off until now

# Without the triggers that look for what a row refers to: the numbers are right.
FILL = f"""
SET session_replication_role = replica;
CREATE TEMPORARY TABLE n AS
    SELECT g AS id, g % 1000 AS part, to_char(g, '"p"FM0000000') AS name FROM generate_series(1001, {PEOPLE}) g;
INSERT INTO subscriber (id, uid, email, email_key, language, created_at)
    SELECT id, name, name || '@example.org', name || '@example.org', 'en', now() FROM n;
INSERT INTO subscription
    (id, list_id, subscriber_id, state, frequency, requested_at, confirmed_at, ended_at, ended_reason)
    SELECT id, 1, id,
        CASE part WHEN 0 THEN 'pending' WHEN 1 THEN 'ended' WHEN 2 THEN 'ended' ELSE 'confirmed' END, 'weekly',
        now() - interval '1 year', CASE part WHEN 0 THEN NULL ELSE now() - interval '1 year' END,
        CASE part WHEN 1 THEN now() WHEN 2 THEN now() - interval '60 days' END,
        CASE WHEN part IN (1, 2) THEN 'unsubscribed' END
    FROM n;
INSERT INTO consent_event (subscription_id, kind, at, source, language) SELECT id, 'asked', now(), 'form', 'en' FROM n;
INSERT INTO digest (id, list_id, slug, state, created_at, cursor, again, in_archive, revision)
    SELECT g, 1, 'old-' || g, 'sent', now(), 0, false, true, 1 FROM generate_series(101, 100 + {PEOPLE // DIGEST}) g;
INSERT INTO delivery (edition_id, digest_id, subscriber_id, state, attempts, created_at, resent, settled_at, reply)
    SELECT (SELECT max(id) FROM edition WHERE digest_id = 1), 101 + id / {DIGEST}, id, 'accepted', 1,
        now() - interval '1 year', false, now(), '250 ok'
    FROM n;
UPDATE delivery SET digest_id = 1 WHERE digest_id = 101;
UPDATE delivery SET state = 'queued' WHERE digest_id = 1 AND subscriber_id > {DIGEST - OPEN};
UPDATE delivery SET state = 'deferred', next_at = now() WHERE digest_id = 1 AND subscriber_id BETWEEN 10000 AND 10099;
UPDATE digest SET state = 'sending', cursor = {DIGEST - OPEN} WHERE id = 1;
SELECT setval(pg_get_serial_sequence(t, 'id'), {PEOPLE}) FROM unnest(ARRAY['subscriber', 'subscription']) t;
ANALYZE;
"""


class Plans:
    """Which large tables were searched from end to end since the last look, and for what."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def listen(self, connection: psycopg.Connection[Any], _record: object) -> None:
        connection.add_notice_handler(self.note)

    def note(self, notice: psycopg.errors.Diagnostic) -> None:
        said = notice.message_primary or ""
        plan = json.loads(said.partition("plan:")[2] or "{}")
        if plan:
            self.found += [f"{name}: {plan['Query Text']}" for name in searched(plan["Plan"]) if name in LARGE]

    def take(self) -> list[str]:
        taken, self.found = self.found, []
        return taken


def searched(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield node["Relation Name"]
    for child in node.get("Plans", ()):
        yield from searched(child)


@pytest.fixture
def plans(here: Installation) -> Iterator[Plans]:
    """What auto_explain tells to every connection of ours from now on."""
    name = str(here.settings["DATABASE_URL"]).rpartition("/")[2]
    settings = {"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0"}
    settings |= {"auto_explain.log_nested_statements": "on", "auto_explain.log_level": "notice"}
    settings |= {"auto_explain.log_format": "json", "jit": "off"}
    with psycopg.connect(server_of(here), autocommit=True) as connection:
        connection.execute("LOAD 'auto_explain'")  # else its settings are not known
        for setting, value in settings.items():
            connection.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")  # type: ignore[arg-type]
    here.close()
    told = Plans()
    event.listen(Engine, "connect", told.listen)
    yield told
    event.remove(Engine, "connect", told.listen)


def server_of(here: Installation) -> str:
    return str(here.settings["DATABASE_URL"]).replace("+psycopg", "")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_happens_all_the_time_searches_no_large_table(here: Installation, plans: Plans) -> None:
    here.configure(METRICS_TOKEN=TOKEN)
    here.subscribed("ada@example.org", "bob@example.org", "eva@example.org")
    here.run("digest", "send", here.draft(), "--yes")
    links = [leave_link(mail) for mail in here.mail_server.mails]
    for statement in (FILL, "VACUUM ANALYZE subscription"):
        postgres.execute(server_of(here), statement)
    plans.take()
    wrong: dict[str, list[str]] = {}
    for what, act in acts(here, links).items():
        act()
        if searches := plans.take():
            wrong[what] = searches
    assert here.status(1)["accepted"] > DIGEST - 1100, "the digest was sent to its end"
    assert wrong == {}


class Steps:
    """How many times ten steps SQLite took for what was asked of it."""

    def __init__(self) -> None:
        self.taken = 0

    def listen(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.set_progress_handler(self.note, 10)

    def note(self) -> int:
        self.taken += 1
        return 0


@pytest.fixture
def steps(here: Installation) -> Iterator[Steps]:
    here.close()
    counted = Steps()
    event.listen(Engine, "connect", counted.listen)
    yield counted
    event.remove(Engine, "connect", counted.listen)


def leaving(here: Installation, email: str) -> str:
    """The address to leave by of somebody who has had no digest yet."""
    with here.app.app_context():
        subscriber = db.session.scalars(sa.select(Subscriber).filter_by(email=email)).one()
        return f"/unsubscribe/{links().unsubscribe_token(subscriber.uid, list_id())}"


def sign_up_together(here: Installation, *emails: str) -> None:
    with here.app.test_request_context(), transaction() as session:
        evidence = consent.shown("a test")
        take_in(session, [Request(list_id(), SignUp(parse(email), "en"), evidence, None) for email in emails])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_among_many_a_visitor_takes_sqlite_no_longer(here: Installation, steps: Steps) -> None:
    """SQLite chooses its plans by rules of its own, and tells none: its steps are counted, among few and among many."""
    here.subscribed("ada@example.org", "bob@example.org")
    taken: dict[str, list[int]] = {}
    for name in ("ada", "bob"):
        leave = leaving(here, f"{name}@example.org")
        link = here.manage_link(f"{name}@example.org")
        visits: dict[str, Callable[[], object]] = {
            "sign up": lambda name=name: here.sign_up(f"new-{name}@example.org"),
            "sign up at once": lambda name=name: sign_up_together(here, *(f"{name}{n}@example.org" for n in range(6))),
            "ask for a link": lambda name=name: here.site.post("/manage", data={"email": f"no-{name}@example.org"}),
            "look at settings": lambda link=link: here.site.get(link),
            "choose": lambda link=link: here.site.post(link, data={"frequency": "monthly"}),
            "look whether to leave": lambda leave=leave: here.site.get(leave),
            "leave": lambda leave=leave: here.site.post(leave, data={"List-Unsubscribe": "One-Click"}),
        }
        for what, visit in visits.items():
            steps.taken = 0
            visit()
            taken.setdefault(what, []).append(steps.taken)
        if name == "ada":
            here.imported(2000)
    assert all(few for few, _ in taken.values()), "steps were counted"
    assert {what: both for what, both in taken.items() if both[1] > both[0] + 20} == {}


def acts(here: Installation, links: list[str]) -> dict[str, Callable[[], object]]:
    rows = "email\n" + "".join(f"p{number:07}@example.org\nq{number}@example.org\n" for number in range(2000, 4000))
    return {
        "somebody signs up": lambda: here.sign_up("new@example.org"),
        "somebody signs up who is subscribed": lambda: here.sign_up("p0005000@example.org"),
        "single letters go out": lambda: here.run("run-due"),
        "somebody confirms": lambda: here.confirm("new@example.org"),
        "somebody asks for their settings": lambda: here.site.get(here.manage_link("new@example.org")),
        "somebody chooses anew": lambda: here.site.post(
            link_in(here.letters("new@example.org")[-1], "manage"), data={"frequency": "monthly"}
        ),
        "somebody looks whether to leave": lambda: here.site.get(links[0]),
        "somebody leaves with one click": lambda: here.site.post(links[0], data={"List-Unsubscribe": "One-Click"}),
        "a digest goes out": lambda: here.run("digest", "send", 1),
        "its account": lambda: here.run("digest", "status", 1),
        "its report": lambda: here.run("digest", "report", 1),
        "what can be forgotten": lambda: here.run("run-due"),
        "is the site well": lambda: here.site.get("/healthz"),
        "its metrics": lambda: here.site.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}),
        "an operator looks somebody up": lambda: here.run("subscriber", "show", "p0006000@example.org"),
        "an operator unsubscribes somebody": lambda: here.run("subscriber", "unsubscribe", "p0006000@example.org"),
        "an operator erases somebody": lambda: here.run("subscriber", "erase", "p0007000@example.org"),
        "an operator adds people": lambda: here.run(
            "subscriber", "import", here.write("more.csv", rows), "--basis", "a test"
        ),
    }
