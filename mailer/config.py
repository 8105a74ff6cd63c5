"""Settings: `MAILER_<NAME>` in the environment, over `mailer.toml`, over the defaults below.

Read once and strictly: an unknown or malformed setting stops the start and names itself.
Each setting is documented where it is defined; `mailer config --example` and the README are made from here.
"""

import difflib
import ipaddress
import os
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import current_app

from mailer import parsing
from mailer.errors import ConfigError
from mailer.parsing import Limit, Rate, limits

PREFIX = "MAILER_"
FILE = "mailer.toml"
# Read by the test suite and by this module, not settings of an installation.
NOT_SETTINGS = ("MAILER_CONFIG", "MAILER_TEST_")


def setting(default: Any, parse: Callable[[Any], Any], about: str, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"parse": parse, "about": about, "secret": secret})


@dataclass(frozen=True)
class Config:
    """An installation's settings, each already parsed. `sources` says where each one came from."""

    secret_key: tuple[str, ...] = setting(
        (),
        parsing.secret_keys,
        "Signs links and forms; at least 32 characters. A list (NEW,OLD) rotates it",
        secret=True,
    )
    database_url: str = setting(
        "sqlite:///mailer.db",
        parsing.required_text,
        "SQLite (a path from the working folder) or PostgreSQL (postgresql+psycopg://user:password@host/name)",
        secret=True,
    )
    base_url: str = setting(
        "http://127.0.0.1:8000", parsing.base_url, "Every link in a mail begins with it: the site's public address"
    )
    list_name: str = setting("Frontier Technologies", parsing.name, "The list's name, as readers see it")
    list_slug: str = setting(
        "frontier-technologies", parsing.slug, "The list's name in List-Id; do not change it later"
    )
    languages: tuple[str, ...] = setting(
        ("en", "fr", "es", "ru", "ar", "zh"),
        parsing.languages,
        "Languages of the list; the first is the fallback. Those with a catalogue are offered",
    )
    timezone: str = setting("UTC", parsing.timezone, "The list's time zone, for dates that people read or type")
    organisation: str = setting("", parsing.text, "Who runs the list, as pages and mails name it")
    postal_address: str = setting("", parsing.text, "The postal address at the foot of every digest")
    list_owner: str = setting("", parsing.mailbox, "Where people reach a person; else the sender's address")
    intake_address: str = setting(
        "",
        parsing.intake_address,
        "Who leaves by mail writes to it, and 'mailer intake' takes it (leave@lists.example.org); else to the owner",
    )
    intake_listen: str = setting(
        "", parsing.endpoint, "Where mailer serve takes such mail by LMTP: a port, HOST:PORT or unix:PATH; else not"
    )
    mail_server: str = setting("127.0.0.1", parsing.required_text, "The mail server that takes our mail")
    mail_port: int = setting(25, parsing.whole_number(1, 65535), "Its port: 25, 587 (STARTTLS) or 465 (TLS)")
    mail_username: str = setting("", parsing.text, "If the server wants a login")
    mail_password: str = setting("", parsing.text, "If the server wants a login", secret=True)
    mail_use_tls: bool = setting(False, parsing.boolean, "STARTTLS, required and verified")
    mail_use_ssl: bool = setting(False, parsing.boolean, "TLS from the first byte, verified")
    mail_allow_plaintext: bool = setting(
        False, parsing.boolean, "Allow unencrypted SMTP to a server that is not on this machine"
    )
    mail_default_sender: str = setting("", parsing.mailbox, "From of the digests: Name <local@domain>")
    mail_account_sender: str = setting("", parsing.mailbox, "From of confirmation letters; else that of the digests")
    mail_timeout: float = setting(
        0.0, parsing.seconds, "Longest wait for any reply, in seconds; 0 = as long as RFC 5321 asks"
    )
    send_sessions: int = setting(4, parsing.whole_number(1, 64), "Parallel SMTP sessions")
    send_per_connection: int = setting(
        500, parsing.whole_number(1, 1_000_000), "Letters over one SMTP connection before it is opened anew"
    )
    send_rate: int = setting(0, parsing.whole_number(0, 1_000_000), "Messages a second over all sessions; 0 = no limit")
    engine: str = setting(
        "embedded",
        parsing.choice("embedded", "celery"),
        "Who sends: embedded (serve, work, the command itself) or celery (workers on any number of machines)",
    )
    broker_url: str = setting(
        "amqp://guest:guest@127.0.0.1:5672//",
        parsing.broker_url,
        "With celery: RabbitMQ (amqp://user:password@host//) or Redis (redis://:password@host/0); "
        "amqps, rediss with TLS",
        secret=True,
    )
    provider_rates: tuple[Rate, ...] = setting(
        (), parsing.rates, "Providers that get no more messages a second than so: gmail.com=50,outlook.com=20"
    )
    send_workers: int = setting(
        4, parsing.whole_number(1, 256), "With celery: workers at one digest at once, each with its own sessions"
    )
    journal_folder: str = setting(
        "journal", parsing.required_text, "Where senders write down each letter they begin (from the working folder)"
    )
    on_unknown: str = setting(
        "hold", parsing.choice("hold", "resend"), "What to do when a reply was lost: hold (list it) or resend"
    )
    keep_pending_days: int = setting(
        14, parsing.whole_number(1, 36500), "Days until a sign-up that nobody confirmed is removed"
    )
    keep_address_days: int = setting(
        28, parsing.whole_number(1, 36500), "Days until the address of somebody who left is replaced by a keyed hash"
    )
    keep_evidence_days: int = setting(
        1095, parsing.whole_number(1, 36500), "Days until the evidence of consent of somebody who left is removed"
    )
    keep_replies_days: int = setting(
        90, parsing.whole_number(1, 36500), "Days until what mail servers said of a letter is removed"
    )
    goodbye_letter: bool = setting(
        False, parsing.boolean, "Write to people who have left, to say that it was done; the page has told them"
    )
    metrics_token: str = setting(
        "",
        parsing.text,
        "Opens /metrics to whoever brings it (Authorization: Bearer …); without one there is no such page",
        secret=True,
    )
    trusted_proxies: int = setting(
        0, parsing.whole_number(0, 10), "Reverse proxies to believe for the client's address"
    )
    limit_address: tuple[Limit, ...] = setting(
        limits("1/10m,3/1d,5/30d"), limits, "Letters that sign-ups may cause to one address; more are silently left out"
    )
    limit_client: tuple[Limit, ...] = setting(
        limits("5/1m,20/1h"), limits, "Sign-ups from one client address; more have to prove that they are no robot"
    )
    limit_network: tuple[Limit, ...] = setting(
        limits("60/1h"), limits, "The same from one network (IPv4 /24, IPv6 /56)"
    )
    limit_domain: tuple[Limit, ...] = setting(
        limits("200/1h"), limits, "The same of addresses at one domain; ten times as many at a large mail provider"
    )
    limit_all: tuple[Limit, ...] = setting(
        limits("500/1h"), limits, "Sign-ups of everybody; more are taken for an attack, in which all have to prove it"
    )
    limit_waiting: tuple[Limit, ...] = setting(
        limits("30/1h"), limits, "Sign-ups that waited instead, for want of JavaScript"
    )
    limit_factor: int = setting(
        10,
        parsing.whole_number(1, 1000),
        "Who proved it has so many times the limits of a client and a network; more are refused for a while",
    )
    attack_ratio: int = setting(
        10,
        parsing.whole_number(0, 100),
        "It is taken for an attack, too, if fewer than so many per cent of an hour's sign-ups are confirmed; 0 = never",
    )
    proof_cost: int = setting(
        5000, parsing.whole_number(1, 1_000_000), "How hard the proof is: 5000 takes a slow phone one or two seconds"
    )
    dns_resolver: str = setting(
        "system",
        parsing.resolver,
        "Who is asked whether a domain takes mail: system, off, or a name server (192.0.2.53:53)",
    )
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def host(self) -> str:
        """The site's host name, or `localhost` where BASE_URL has only a number."""
        host = urlsplit(self.base_url).hostname or "localhost"
        return "localhost" if is_ip(host) else host

    @property
    def is_trial(self) -> bool:
        """Whether links lead to this very machine: nobody else can be using it."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def sender(self) -> str:
        """From of the digests; made of the list's name and the site's host if not set."""
        return self.mail_default_sender or f"{self.list_slug}@{self.host}"

    @property
    def account_sender(self) -> str:
        return self.mail_account_sender or self.sender

    @property
    def owner_address(self) -> str:
        return parseaddr(self.list_owner or self.sender)[1]

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> "Config":
        """The settings in force in `folder`. Raises ConfigError for a setting that is missing, unknown or wrong."""
        environ = os.environ if environ is None else environ
        folder = folder or Path.cwd()
        given = {**read_file(environ, folder), **read_environment(environ)}
        values = {name: parse_setting(name, value, source) for name, (value, source) in given.items()}
        values["database_url"] = from_folder(values.get("database_url", cls.database_url), folder)
        values["journal_folder"] = str(folder.absolute() / values.get("journal_folder", cls.journal_folder))
        config = cls(**values, sources={name: source for name, (_, source) in given.items()})
        config.check()
        return config

    def check(self) -> None:
        """What no single setting can tell. Raises ConfigError."""
        if not self.secret_key:
            raise ConfigError(
                f"SECRET_KEY is not set: go to the folder of your {FILE} or name it in MAILER_CONFIG, "
                "or run 'mailer init' for a new installation"
            )
        if re.fullmatch(r"sqlite(\+\w+)?:(//|///)(:memory:)?(\?.*)?", self.database_url):
            raise ConfigError("DATABASE_URL is a database in memory, which forgets everybody: name a file")
        if self.mail_use_tls and self.mail_use_ssl:
            raise ConfigError("MAIL_USE_TLS and MAIL_USE_SSL are both true: choose one")
        plain = not (self.mail_use_tls or self.mail_use_ssl or self.mail_allow_plaintext)
        if plain and not is_loopback(self.mail_server):
            raise ConfigError(
                f"MAIL_SERVER {self.mail_server} would get mail unencrypted: set MAIL_USE_TLS or MAIL_USE_SSL "
                "to true (or MAIL_ALLOW_PLAINTEXT, if the way there is safe)"
            )


SETTINGS = {item.name.upper(): item for item in fields(Config) if "parse" in item.metadata}


def from_folder(database_url: str, folder: Path) -> str:
    """An SQLite file is looked for from the working folder, not from wherever the package is."""
    relative = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/:?].*)", database_url)
    return f"{relative[1]}{folder.absolute() / relative[2]}" if relative else database_url


def is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    return host == "localhost" or (is_ip(host) and ipaddress.ip_address(host).is_loopback)


def read_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """{field name: (raw value, source)} of every MAILER_… variable."""
    return {
        known(name.removeprefix(PREFIX), name): (value, name)
        for name, value in environ.items()
        if name.startswith(PREFIX) and not name.startswith(NOT_SETTINGS)
    }


def read_file(environ: Mapping[str, str], folder: Path) -> dict[str, tuple[Any, str]]:
    """{field name: (raw value, source)} of mailer.toml, which need not be there unless MAILER_CONFIG names it."""
    path = folder / environ.get("MAILER_CONFIG", FILE)
    if not path.exists() and "MAILER_CONFIG" not in environ:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from error
    return {known(name.upper(), f"{name} in {path}"): (value, str(path)) for name, value in table.items()}


def known(name: str, shown: str) -> str:
    """The field of a setting's name. Raises ConfigError with the nearest name that exists."""
    if name in SETTINGS:
        return name.lower()
    near = difflib.get_close_matches(name, SETTINGS, n=1)
    hint = f"did you mean {near[0]}?" if near else "'mailer config --example' lists all of them"
    raise ConfigError(f"unknown setting {shown}: {hint}")


def parse_setting(name: str, value: Any, source: str) -> Any:
    try:
        return SETTINGS[name.upper()].metadata["parse"](value)
    except ValueError as error:
        shown = "" if SETTINGS[name.upper()].metadata["secret"] else f" {value!r}"
        raise ConfigError(f"{name.upper()}{shown} {error} (from {source})") from None


def example(**values: str | int) -> str:
    """A commented mailer.toml; settings named in `values` are set in it."""
    lines = ["# Settings of one installation. MAILER_<NAME> in the environment wins over this file.", ""]
    for name, item in SETTINGS.items():
        lines.append(f"# {item.metadata['about']}.")
        lines.append(f"{'' if name in values else '# '}{name} = {as_toml(values.get(name, item.default))}")
        lines.append("")
    return "\n".join(lines)


def as_toml(value: Any) -> str:
    if isinstance(value, tuple):
        value = ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def fresh_secret() -> str:
    return secrets.token_urlsafe(48)


def settings() -> Config:
    """The settings of the running application."""
    found: Config = current_app.extensions["mailer.config"]
    return found
