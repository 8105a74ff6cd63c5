"""`mailer subscriber …`."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from mailer import audit
from mailer.cli import moving
from mailer.cli.common import as_json, parse_address, say, with_app
from mailer.config import settings
from mailer.delivery import relay
from mailer.errors import BadAddress
from mailer.languages import offered
from mailer.subscriptions import asking, consent, erasing, leaving, people, screening, suppression, verbs


@click.group("subscriber")
def command() -> None:
    """Look after the people on the list."""


command.add_command(moving.import_)
command.add_command(moving.export)


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
    address = parse_address(email)
    if address.is_international and not relay.takes_international():
        raise BadAddress(f"{address} can't be reached: the mail server has not offered SMTPUTF8 so far")
    person = asking.SignUp(address, language or languages[0])
    screening.refuse_ours(address)
    suppression.check(address)
    audit.note_now("subscriber add")
    verbs.sign_up(person, operator("subscriber add"))
    say(f"a letter to {person.address} is on its way; 'mailer serve' or 'mailer run-due' sends it")


@command.command("list")
@moving.state_option
@moving.language_option
@moving.frequency_option
@moving.topic_option
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON array.")
@with_app
def list_(
    state: str | None, language: str | None, frequency: str | None, topic: str | None, *, wants_json: bool
) -> None:
    """List everybody, whatever their state, or only some.

    \b
    Example:  mailer subscriber list --state confirmed --language fr
    """
    found = people.every(moving.which_people(state, language, frequency, topic))
    if wants_json:
        as_json([people.summary(*each) for each in found])
        return
    for subscription, subscriber in found:
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
    for line in printed(found):
        say(line)


def printed(found: dict[str, Any]) -> Iterator[str]:
    """One person's record, for a printer."""
    yield found["email"] or "(the address was forgotten; only a keyed hash of it is kept)"
    for name in ("list", "state", "ended_reason", "language", "frequency", "topics"):
        yield from field(name, found[name])
    for name in ("requested_at", "confirmed_at", "ended_at"):
        yield from field(name, clock(found[name]))
    yield "\nEvidence of consent"
    for event in found["consent"]:
        yield f"  {clock(event['at'])}  {event['kind']}"
        yield from printed_event(event)
    yield "\nLetters"
    for each in found["deliveries"]:
        yield f"  {clock(each['created_at'])}  {each['letter']}, {each['state']}: {each['subject']}"
        yield from field("message_id", each["message_id"], indent=4)
        yield from field("reply", each["reply"], indent=4)


def printed_event(event: dict[str, Any]) -> Iterator[str]:
    for name in ("source", "ip", "user_agent", "language", "frequency", "topics", "basis"):
        yield from field(name, event[name], indent=4)
    yield from field("wording", event["wording"] and f"“{event['wording']}”", indent=4)
    for name in ("wording_version", "notice_version"):
        version = event[name]
        look = version and f"{version['id']} ({version['language']}), 'mailer wording show {version['id']}' prints it"
        yield from field(name, look, indent=4)
    if letter := event["letter"]:
        accepted = f", accepted {clock(letter['accepted_at'])}" if letter["accepted_at"] else f", {letter['state']}"
        yield from field("letter", f"{letter['message_id']}{accepted}", indent=4)


def field(name: str, value: Any, indent: int = 2) -> Iterator[str]:
    """A line, if there is anything to say."""
    if value:
        words = ", ".join(value) if isinstance(value, list) else value
        yield f"{' ' * indent}{name.removesuffix('_at').replace('_', ' '):<16}{words}"


def clock(at: str | None) -> str | None:
    return at and f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC"


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
    audit.note_now("subscriber unsubscribe", f"subscriber {people.find(address).subscriber_id}")
    leaving.unsubscribe_address(address, operator("subscriber unsubscribe"))
    say(f"{address} gets no more digests")


def operator(what: str) -> consent.Evidence:
    """Evidence for what an operator did at the command line; no wording was shown to anybody."""
    return consent.Evidence(f"mailer {what} by {audit.operator()}", "", settings().languages[0])
