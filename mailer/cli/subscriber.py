"""`mailer subscriber …`."""

import getpass
from pathlib import Path

import click

from mailer import audit
from mailer.cli.common import as_json, parse_address, say, with_app
from mailer.config import settings
from mailer.languages import offered
from mailer.subscriptions import consent, erasing, importing, people, suppression, verbs

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("subscriber")
def command() -> None:
    """Look after the people on the list."""


@command.command()
@click.argument("email")
@click.option("--language", help="Language of the mails; default: the list's first.")
@with_app
def add(email: str, language: str | None) -> None:
    """Write to somebody and ask them to confirm, as the form does.

    \b
    Example:  mailer subscriber add expert@example.org --language fr
    """
    languages = offered(settings().languages)
    if language and language not in languages:
        raise click.BadParameter(f"{language!r} is not one of {', '.join(languages)}")
    person = verbs.SignUp(parse_address(email), language or languages[0])
    verbs.sign_up(person, operator("subscriber add"))
    say(f"a letter to {person.address} is on its way; 'mailer serve' or 'mailer run-due' sends it")


@command.command("list")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON array.")
@with_app
def list_(*, wants_json: bool) -> None:
    """List everybody, whatever their state.

    \b
    Example:  mailer subscriber list --json
    """
    if wants_json:
        as_json([people.summary(*each) for each in people.every()])
        return
    for subscription, subscriber in people.every():
        say(f"{subscriber.email or '(erased)'}  {subscription.state}  {subscriber.language}  {subscription.frequency}")


@command.command()
@click.argument("email")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@with_app
def show(email: str, *, wants_json: bool) -> None:
    """Show all we hold about one person: state, consent evidence, deliveries.

    \b
    Example:  mailer subscriber show expert@example.org
    """
    found = people.record(people.find(parse_address(email)))
    if wants_json:
        as_json(found)
        return
    consents, deliveries = found.pop("consent"), found.pop("deliveries")
    for name, value in found.items():
        say(f"{name:<13} {', '.join(value) if isinstance(value, list) else value or '-'}")
    say("\nconsent")
    for event in consents:
        say(f"  {event['at']}  {event['kind']:<13} {event['source']}  {event['ip'] or ''}".rstrip())
        if words := event["wording"] or event["basis"]:
            say(f"    “{words}”")
    say("\nletters")
    for each in deliveries:
        say(f"  {each['created_at']}  {each['letter']:<19} {each['state']:<9} {each['subject']}")


@command.command("import")
@click.argument("file", type=FILE)
@click.option("--basis", required=True, help="Why these people may be written to; kept as evidence.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, change nothing.")
@with_app
def import_(file: Path, basis: str, *, dry_run: bool) -> None:
    """Take over an existing list from a CSV file: confirmed at once on the stated basis.

    Columns: email[,language,frequency,topics,consent_at,consent_source]. Sends nothing, never revives
    one who left, and may be repeated.

    \b
    Example:  mailer subscriber import members.csv --basis "signed up at the 2023 conference"
    """
    if not basis.strip() or not basis.isprintable():
        raise click.BadParameter("say why these people may be written to", param_hint="--basis")
    report = importing.import_file(file, basis.strip(), dry_run=dry_run)
    for line in report.refused:
        click.echo(f"refused  {line}", err=True)
    say(
        f"{'would add' if dry_run else 'added'} {report.added}, already on the list {report.known}, "
        f"left before {report.left}, refused {len(report.refused)}"
    )


@command.command()
@click.argument("email")
@click.option("--never-again", is_flag=True, help="Keep a keyed hash, so that they are never written to again.")
@with_app
def erase(email: str, *, never_again: bool) -> None:
    """Forget somebody: address, evidence, what mail servers said. Only numbers stay.

    Without --never-again they may sign up again, and an import may bring them back.

    \b
    Example:  mailer subscriber erase expert@example.org --never-again
    """
    erasing.erase_address(parse_address(email), by=audit.operator(), never_again=never_again)
    say("erased" + ("; they are never written to again" if never_again else ""))


@command.command()
@click.argument("email")
@with_app
def allow(email: str) -> None:
    """Let somebody be written to again who was erased with --never-again, or left long ago, at their own word.

    \b
    Example:  mailer subscriber allow expert@example.org
    """
    address = parse_address(email)
    suppression.allow(address, by=audit.operator())
    say(f"{address} may sign up again")


@command.command()
@click.argument("email")
@with_app
def unsubscribe(email: str) -> None:
    """End somebody's subscription on their word.

    \b
    Example:  mailer subscriber unsubscribe expert@example.org
    """
    address = parse_address(email)
    verbs.unsubscribe_address(address, operator("subscriber unsubscribe"))
    say(f"{address} gets no more digests")


def operator(what: str) -> consent.Evidence:
    """Evidence for what an operator did at the command line; no wording was shown to anybody."""
    return consent.Evidence(f"mailer {what} by {getpass.getuser()}", "", settings().languages[0])
