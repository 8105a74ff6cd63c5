"""`mailer check-message`: any mail, by the standards of mail. Needs no installation."""

import json
from typing import BinaryIO

import click

from mailer.cli import findings
from mailer.cli.findings import Line
from mailer.letters import lint
from mailer.letters.lint import Fault, Kind


@click.command("check-message")
@click.argument("file", type=click.File("rb"), metavar="FILE.eml")
@click.option(
    "--kind", type=click.Choice([each.value for each in Kind]), help="Default: a digest if the mail has a List-Id."
)
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(context: click.Context, file: BinaryIO, kind: str | None, *, wants_json: bool) -> None:
    """Check a mail as it would go out: a line for each fault, by the name that docs/checks.md explains. `-`: stdin.

    Exit code 1 if it has errors.

    \b
    Example:  mailer check-message letter.eml
    """
    mail = lint.Mail(file.read(), Kind(kind) if kind else None)
    faults = lint.inspect(mail)
    errors = [each for each in faults if not each.is_advice]
    warnings = [each for each in faults if each.is_advice]
    if wants_json:
        said = {"errors": list(map(record, errors)), "warnings": list(map(record, warnings))}
        click.echo(json.dumps({"kind": mail.kind, "ok": not errors, **said}, ensure_ascii=False))
    else:
        findings.show([Line(not each.is_advice, each.rule, each.text) for each in faults])
        click.echo(f"{mail.kind} mail of {len(mail.raw):,} bytes: {findings.counted(len(errors), len(warnings))}")
    context.exit(1 if errors else 0)


def record(fault: Fault) -> dict[str, str]:
    return {"name": fault.rule, "text": fault.text}
