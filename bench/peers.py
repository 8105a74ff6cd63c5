"""What the product is measured against: Postfix's load generator, and a loop as Flask-Mail's documentation shows it."""

import json
import sys
from dataclasses import dataclass

from .ground import binary
from .processes import Usage, measure
from .sinks import smtp_sink


@dataclass(frozen=True)
class Run:
    """`count` messages in so many seconds, and all that the command used."""

    count: int
    seconds: float
    usage: Usage

    @property
    def rate(self) -> float:
        return self.count / self.seconds


def smtp_source_binary() -> str:
    return binary("smtp-source", package="postfix")


def rod(count: int) -> Run:
    """One fixed message from C, no database, ten sessions kept open, a round trip for each command."""
    with smtp_sink() as sink:
        usage = measure([smtp_source_binary(), *f"-d -s 10 -l 10240 -m {count} 127.0.0.1:{sink.port}".split()])
        sink.expect(count)
    return Run(count, usage.seconds, usage)


def flask_mail_loop(count: int, port: int) -> Run:
    """The loop alone, as it timed itself: its imports and its list of people are given to it for nothing."""
    usage = measure([sys.executable, "-m", "bench.flask_mail_loop", str(port), str(count)])
    return Run(count, json.loads(usage.output)["seconds"], usage)


def flask_mail(count: int) -> Run:
    with smtp_sink() as sink:
        run = flask_mail_loop(count, sink.port)
        sink.expect(count)
    return run
