"""`mailer digest check`: what is wrong with a digest, before it goes out."""

import sys
from collections.abc import Sequence
from datetime import datetime

import click

from mailer.cli import findings
from mailer.cli.common import ID, as_json, say, with_app
from mailer.cli.findings import Line
from mailer.digests import compose, preflight
from mailer.digests.preflight import Finding
from mailer.models import Digest
from mailer.states import DigestState


@click.command()
@click.argument("digest_id", type=ID, metavar="ID")
@click.option("--online", is_flag=True, help="Also ask whether every link answers.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
@with_app
def check(context: click.Context, digest_id: int, *, online: bool, wants_json: bool) -> None:
    """Look for what must not go out (errors, exit code 1) and for what is worth a second look (warnings).

    \b
    Example:  mailer digest check 1 --online
    """
    report = preflight.check(compose.find(digest_id), online=online)
    if wants_json:
        as_json(report.as_json())
    else:
        findings.show(lines(report.findings))
        say(f"digest {digest_id}: {findings.counted(len(report.errors), len(report.warnings))}")
    context.exit(1 if report.errors else 0)


def lines(found: Sequence[Finding]) -> list[Line]:
    return [Line(each.is_error, each.name, each.text, each.language or "", each.remedy) for each in found]


def warn(digest: Digest, at: datetime | None, *, forced: bool) -> None:
    """Before anybody is asked. Raises BadInput with the reasons if there is nothing to ask."""
    if digest.state is DigestState.DRAFT:
        report = preflight.check(digest, at=at)
        if not forced:
            preflight.refuse_for(report)
        findings.show(lines(report.findings), sys.stderr)


def in_spite_of(digest: Digest, reason: str | None) -> str:
    """For the audit log: why a digest goes out that should not, and what was wrong with it."""
    if not reason:
        return ""
    errors = preflight.check(digest).errors if digest.state is DigestState.DRAFT else []
    return f", forced: {' '.join(reason.split())}; in spite of: {'; '.join(map(str, errors)) or 'nothing'}"
