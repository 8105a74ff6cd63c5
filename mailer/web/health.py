"""How the installation is: `/healthz` in a few words, `/metrics` in Prometheus' text format."""

import hmac
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from typing import Any

from alembic.script import ScriptDirectory
from flask import Blueprint, Response, abort, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mailer import vitals
from mailer.config import settings
from mailer.db import explain, revision
from mailer.delivery import outbox
from mailer.errors import MailerError
from mailer.lists import the_list
from mailer.states import DeliveryState
from mailer.subscriptions import throttle

site = Blueprint("health", __name__)

REQUESTS = Histogram("mailer_request_seconds", "Time to answer a request", ["page", "method", "status"], registry=None)
WAITS = Histogram(
    "mailer_letter_seconds",
    "Time from writing a single letter, a confirmation for one, until the mail server took it",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200),
    registry=None,
)
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own: a folder that several processes share


@site.get("/healthz")
def health() -> ResponseReturnValue:
    """200 while people are served and 503 while they can't be: the database is gone, or not of this version. `late`:
    pages are fine, but mail has been waiting for more than ten minutes. `attack` only while sign-ups look like one."""
    try:
        slug, current = the_list().slug, revision()
        if current != newest():
            return jsonify(status="down", migrations=f"at {current}, not at {newest()}: run 'mailer init'"), 503
        backlog, attack, seen = vitals.backlog(), throttle.attack(), vitals.heartbeat()
    except Exception as error:
        known = error if isinstance(error, MailerError) else explain(error)
        if known is None:
            raise
        current_app.logger.warning("%s", known)  # what a database says is not for everybody
        return jsonify(status="down"), 503, {"Retry-After": "30"}
    return jsonify(
        status="late" if backlog.is_late else "ok",
        list=slug,
        waiting={"letters": backlog.letters, "seconds": round(backlog.oldest)},
        sender_seen=None if seen is None else round(seen),
        **({"attack": asdict(attack)} if attack else {}),
    )


@cache
def newest() -> str | None:
    return ScriptDirectory(current_app.extensions["migrate"].directory).get_current_head()


@site.get("/metrics")
def metrics() -> Response:
    """For whoever brings the token; for everybody else there is no such page."""
    given, token = request.headers.get("Authorization", ""), settings().metrics_token
    if not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        abort(404)
    registry = CollectorRegistry()
    registry.register(FromDatabase())
    if os.environ.get(MULTIPROCESS):
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        for measured in (REQUESTS, WAITS):
            registry.register(measured)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


@site.before_app_request
def begin() -> None:
    g.begun = time.perf_counter()


@site.after_app_request
def end(response: Response) -> Response:
    """By endpoint, not by address: addresses hold tokens."""
    if begun := g.pop("begun", None):
        REQUESTS.labels(request.endpoint or "none", request.method, response.status_code).observe(
            time.perf_counter() - begun
        )
    return response


@outbox.delivered.connect
def note_waits(_sender: object, seconds: list[float]) -> None:
    for each in seconds:
        WAITS.observe(each)


class FromDatabase(Collector):
    """What the ledger says at the moment, the same from every process."""

    def collect(self) -> Iterator[Metric]:
        backlog = vitals.backlog()
        yield gauge("mailer_waiting_letters", "Single letters whose time has come", backlog.letters)
        yield gauge("mailer_waiting_seconds", "How long the oldest letter or digest that is due waits", backlog.oldest)
        seen = vitals.heartbeat()
        if seen is not None:
            yield gauge("mailer_heartbeat_seconds", "Since somebody did what is due", seen)
        yield self.subscriptions()
        if (ratio := vitals.confirm_ratio()) is not None:
            yield gauge("mailer_confirm_ratio", "Part of the sign-ups of seven days that was confirmed", ratio)
        yield gauge("mailer_under_attack", "1 while sign-ups look like an attack", float(bool(throttle.attack())))
        yield from self.senders()
        yield self.digests()

    def subscriptions(self) -> Metric:
        family = GaugeMetricFamily("mailer_subscriptions", "Subscriptions by state", labels=["state"])
        for state, count in vitals.subscriptions().items():
            family.add_metric([state.value], count)
        return family

    def senders(self) -> Iterator[Metric]:
        rate = GaugeMetricFamily("mailer_sender_rate", "Letters accepted a second", labels=["digest", "host"])
        silent = GaugeMetricFamily("mailer_sender_silent_seconds", "Since its sign of life", labels=["digest", "host"])
        for sender in vitals.senders():
            labels = [str(sender.digest or ""), sender.host]
            rate.add_metric(labels, sender.rate)
            silent.add_metric(labels, sender.silent)
        yield from (rate, silent)

    def digests(self) -> Metric:
        words = "Letters of the digests that go out, or ended in the last three days, by state"
        family = GaugeMetricFamily("mailer_digest_letters", words, labels=["digest", "state"])
        for status in vitals.digests():
            for state in DeliveryState:
                family.add_metric([str(status.digest), state.value], getattr(status.tally, state))
        return family


def gauge(name: str, words: str, value: Any) -> Metric:
    return GaugeMetricFamily(name, words, value)
