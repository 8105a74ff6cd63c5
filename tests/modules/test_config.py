"""Settings: each one's good and bad values, where they come from, and what is said of a wrong one."""

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailer.app import create_app
from mailer.cli import main
from mailer.config import SETTINGS, Config, example
from mailer.errors import ConfigError

from ..installation import SECRET

OLD = "o" * 32
GOOD = [
    ("SECRET_KEY", SECRET, (SECRET,)),
    ("SECRET_KEY", f"{SECRET}, {OLD}", (SECRET, OLD)),
    ("DATABASE_URL", "postgresql+psycopg://u:p@db/mailer", "postgresql+psycopg://u:p@db/mailer"),
    ("BASE_URL", "https://lists.example.org/", "https://lists.example.org"),
    ("BASE_URL", "http://[::1]:8000/mail", "http://[::1]:8000/mail"),
    ("LIST_NAME", " Тест: 例 ", "Тест: 例"),
    ("LIST_SLUG", "frontier-2", "frontier-2"),
    ("LANGUAGES", "en, FR,zh", ("en", "fr", "zh")),
    ("TIMEZONE", "Europe/Zurich", "Europe/Zurich"),
    ("ORGANISATION", "", ""),
    ("POSTAL_ADDRESS", "34, chemin des Colombettes", "34, chemin des Colombettes"),
    ("LIST_OWNER", "owner@example.org", "owner@example.org"),
    ("LIST_OWNER", "", ""),
    ("INTAKE_ADDRESS", "", ""),
    ("INTAKE_ADDRESS", "Unsubscribe@xn--lsten-jua.example.org", "unsubscribe@xn--lsten-jua.example.org"),
    ("INTAKE_LISTEN", "", ""),
    ("INTAKE_LISTEN", 8024, "127.0.0.1:8024"),
    ("INTAKE_LISTEN", "0.0.0.0:65535", "0.0.0.0:65535"),
    ("INTAKE_LISTEN", "[::1]:8024", "[::1]:8024"),
    ("INTAKE_LISTEN", "unix:/run/mailer/intake", "unix:/run/mailer/intake"),
    ("MAIL_SERVER", "mail.example.org", "mail.example.org"),
    ("MAIL_PORT", " 587 ", 587),
    ("MAIL_USERNAME", "mailer", "mailer"),
    ("MAIL_PASSWORD", "p,a=s s", "p,a=s s"),
    ("MAIL_USE_TLS", "True", True),
    ("MAIL_USE_SSL", "1", True),
    ("MAIL_ALLOW_PLAINTEXT", "no", False),
    ("MAIL_DEFAULT_SENDER", "Ministère <news@example.org>", "Ministère <news@example.org>"),
    ("MAIL_ACCOUNT_SENDER", '"News, Inc." <news+a@example.org>', '"News, Inc." <news+a@example.org>'),
    ("MAIL_TIMEOUT", "2.5", 2.5),
    ("SEND_SESSIONS", "64", 64),
    ("SEND_PER_CONNECTION", "1", 1),
    ("SEND_RATE", "0", 0),
    ("PROVIDER_RATES", "", ()),
    ("PROVIDER_RATES", "Gmail.com=50, b.example=1", ("Gmail.com=50", "b.example=1")),
    ("ENGINE", "celery", "celery"),
    *(
        ("BROKER_URL", good, good)
        for good in (
            *("redis://127.0.0.1/0", "redis://127.0.0.1:1", "rediss://:p%40ss@redis/15?ssl_cert_reqs=required"),
            *("amqp://mailer:p%2Fss@rabbitmq//", "amqps://u:p@[::1]:5671/mailer", "amqp://a//;amqp://b:5673//"),
        )
    ),
    ("SEND_WORKERS", "256", 256),
    ("ON_UNKNOWN", "resend", "resend"),
    ("JOURNAL_FOLDER", "/var/lib/mailer/journal", "/var/lib/mailer/journal"),
    ("KEEP_PENDING_DAYS", "10", 10),
    ("KEEP_ADDRESS_DAYS", "10", 10),
    ("KEEP_EVIDENCE_DAYS", "10", 10),
    ("KEEP_REPLIES_DAYS", "10", 10),
    ("GOODBYE_LETTER", "yes", True),
    ("METRICS_TOKEN", " opens it ", "opens it"),
    ("TRUSTED_PROXIES", "10", 10),
    ("LIMIT_ADDRESS", "1/10m, 3/24h", ("1/10m", "3/24h")),
    ("LIMIT_CLIENT", "", ()),
    ("LIMIT_NETWORK", "60/1h", ("60/1h",)),
    ("LIMIT_DOMAIN", "9999999/366d", ("9999999/366d",)),
    ("LIMIT_ALL", "1/1m", ("1/1m",)),
    ("LIMIT_WAITING", "30/1h", ("30/1h",)),
    ("LIMIT_FACTOR", "1", 1),
    ("ATTACK_RATIO", "0", 0),
    ("PROOF_COST", "1000000", 1_000_000),
    ("DNS_RESOLVER", "off", "off"),
    ("DNS_RESOLVER", "192.0.2.53", "192.0.2.53"),
    ("DNS_RESOLVER", "[2001:db8::53]:5353", "[2001:db8::53]:5353"),
]
BAD = [
    ("SECRET_KEY", "short"),
    ("SECRET_KEY", f"{SECRET},short"),
    ("SECRET_KEY", f"{SECRET},"),
    ("DATABASE_URL", ""),
    *(
        ("INTAKE_ADDRESS", bad)
        for bad in ("leave", "unsubscribes@x.org", "a+b@x.org", "a@b@x.org", "é@x.org", "a.b@x.org")
    ),
    *(("INTAKE_LISTEN", bad) for bad in ("65536", "unix:", ":8024", "mail.example.org", "::1:8024", "a b:1", "x:٣")),
    ("BASE_URL", ""),
    ("BASE_URL", "lists.example.org"),
    ("BASE_URL", "ftp://lists.example.org"),
    ("BASE_URL", "https://"),
    ("BASE_URL", "https://[::1"),
    ("BASE_URL", "https://example.org/?list=1"),
    ("BASE_URL", "https://example.org:port"),
    ("BASE_URL", "https://exa mple.org"),
    ("BASE_URL", "https://example.org/<list>"),
    ("BASE_URL", "https://bücher.example"),
    ("LIST_NAME", "  "),
    ("LIST_NAME", "News\r\nBcc: everybody@example.org"),
    ("LIST_SLUG", ""),
    ("LIST_SLUG", "Frontier"),
    ("LIST_SLUG", "a_b"),
    ("LIST_SLUG", "é"),
    ("LIST_SLUG", "-"),
    ("LANGUAGES", ""),
    ("LANGUAGES", "en,"),
    ("LANGUAGES", "english"),
    ("LANGUAGES", "en,EN"),
    ("TIMEZONE", "Geneva"),
    ("TIMEZONE", "../../etc/passwd"),
    ("TIMEZONE", "Europe"),
    ("ORGANISATION", "a\x00b"),
    ("POSTAL_ADDRESS", "Geneva\nSwitzerland"),
    ("LIST_OWNER", "owner"),
    ("MAIL_SERVER", ""),
    ("MAIL_PORT", "0"),
    ("MAIL_PORT", "65536"),
    ("MAIL_PORT", "smtp"),
    ("MAIL_USERNAME", "a\rb"),
    ("MAIL_PASSWORD", "a\nb"),
    ("MAIL_USE_TLS", "maybe"),
    ("MAIL_USE_SSL", ""),
    ("MAIL_ALLOW_PLAINTEXT", "2"),
    ("MAIL_DEFAULT_SENDER", "News"),
    ("MAIL_DEFAULT_SENDER", "news@"),
    ("MAIL_DEFAULT_SENDER", "é@example.org"),
    ("MAIL_DEFAULT_SENDER", "A <a@example.org>, B <b@example.org>"),
    ("MAIL_DEFAULT_SENDER", "a b@example.org"),
    ("MAIL_ACCOUNT_SENDER", "@example.org"),
    ("MAIL_TIMEOUT", "nan"),
    ("MAIL_TIMEOUT", "-1"),
    ("MAIL_TIMEOUT", "soon"),
    ("SEND_SESSIONS", "0"),
    ("SEND_RATE", "1.5"),
    ("PROVIDER_RATES", "gmail.com"),
    ("PROVIDER_RATES", "gmail.com=0"),
    ("PROVIDER_RATES", "a.example=1,A.example=2"),
    ("ENGINE", "Celery"),
    *(
        ("BROKER_URL", bad)
        for bad in (
            *("", "rabbitmq", "amqp:", "amqp://", "sqs://x", "memory://x", "redis+socket:///run/redis", "http://x"),
            *("amqp://guest@127.0.0.1:99999//", "amqp://x:0//", "redis://x:port/0", "amqp://[::1//", "amqp://a..b//"),
            *(
                "redis://x/mailer",
                "redis://x/0/1",
                "redis://x/-1",
                "amqp://u:p/ss@x//",
                "amqp://a//;sqs://b",
                "amqp://a;",
            ),
        )
    ),
    ("SEND_WORKERS", "0"),
    ("SEND_PER_CONNECTION", "0"),
    ("ON_UNKNOWN", "Hold"),
    ("JOURNAL_FOLDER", ""),
    ("KEEP_PENDING_DAYS", "-1"),
    ("KEEP_ADDRESS_DAYS", "-1"),
    ("KEEP_EVIDENCE_DAYS", "-1"),
    ("KEEP_REPLIES_DAYS", "-1"),
    ("GOODBYE_LETTER", "perhaps"),
    ("METRICS_TOKEN", "two\nlines"),
    ("TRUSTED_PROXIES", "-1"),
    ("LIMIT_ADDRESS", "1/10"),
    ("LIMIT_ADDRESS", "1/10m,"),
    ("LIMIT_CLIENT", "0/1h"),
    ("LIMIT_NETWORK", "1/0h"),
    ("LIMIT_DOMAIN", "1/367d"),
    ("LIMIT_ALL", "-1/1h"),
    ("LIMIT_WAITING", "many"),
    ("LIMIT_FACTOR", "0"),
    ("ATTACK_RATIO", "101"),
    ("PROOF_COST", "0"),
    ("DNS_RESOLVER", ""),
    ("DNS_RESOLVER", "ns.example.org"),
    ("DNS_RESOLVER", "192.0.2.53:port"),
]


def load(folder: Path, file: str | bytes = "", **environ: str) -> Config:
    """The settings of a folder whose mailer.toml holds `file`; `environ` is named without MAILER_."""
    if file:
        (folder / "mailer.toml").write_bytes(file if isinstance(file, bytes) else file.encode())
    given = {"SECRET_KEY": SECRET, **environ}
    return Config.load({f"MAILER_{name}": value for name, value in given.items() if value != "unset"}, folder)


def refused(folder: Path, file: str | bytes = "", **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, file, **environ)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_the_tables_below_know_every_setting() -> None:
    assert {name for name, *_ in GOOD} == {name for name, _ in BAD} == set(SETTINGS)


@pytest.mark.parametrize(("name", "given", "value"), GOOD)
def test_a_good_value_is_taken(tmp_path: Path, name: str, given: str, value: object) -> None:
    config = load(tmp_path, **{"MAIL_ALLOW_PLAINTEXT": "true", name: given})
    assert getattr(config, name.lower()) == value


@pytest.mark.parametrize(("name", "given"), BAD)
def test_a_bad_value_stops_the_start_and_names_the_setting(tmp_path: Path, name: str, given: str) -> None:
    message = refused(tmp_path, **{name: given})
    assert name in message
    assert f"MAILER_{name}" in message


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (f'SECRET_KEY = ["{SECRET}", "{OLD}"]', (SECRET, OLD)),
        ('LANGUAGES = ["en", "fr"]', ("en", "fr")),
        ("MAIL_PORT = 587", 587),
        ("MAIL_USE_TLS = true", True),
        ("MAIL_TIMEOUT = 2.5", 2.5),
        ('list_name = "In small letters"', "In small letters"),
    ],
)
def test_the_file_may_use_the_types_of_toml(tmp_path: Path, line: str, value: object) -> None:
    config = load(tmp_path, line, SECRET_KEY="unset" if "SECRET_KEY" in line else SECRET)
    assert getattr(config, line.split(" ")[0].lower()) == value


@pytest.mark.parametrize(
    "line",
    [
        "LIST_NAME = true",
        "LIST_NAME = 2026-01-01",
        "LANGUAGES = {first = 'en'}",
        "LANGUAGES = [['en']]",
        "MAIL_PORT = 25.0",
        "MAIL_PORT = true",
        "MAIL_TIMEOUT = true",
        "MAIL_TIMEOUT = []",
        "MAIL_USE_TLS = 'on'",
    ],
)
def test_a_wrong_type_in_the_file_is_refused(tmp_path: Path, line: str) -> None:
    message = refused(tmp_path, line)
    assert line.split(" ")[0] in message
    assert str(tmp_path / "mailer.toml") in message


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    config = load(tmp_path, "SEND_RATE = 5\nSEND_SESSIONS = 6", SEND_RATE="7")
    assert (config.send_rate, config.send_sessions, config.mail_port) == (7, 6, 25)
    assert config.sources["send_rate"] == "MAILER_SEND_RATE"
    assert config.sources["send_sessions"] == str(tmp_path / "mailer.toml")
    assert "mail_port" not in config.sources


@pytest.mark.parametrize("name", ["MAIL_SERVR", "LANGAUGES"])
def test_an_unknown_setting_names_itself_and_the_nearest(tmp_path: Path, name: str) -> None:
    nearest = {"MAIL_SERVR": "MAIL_SERVER", "LANGAUGES": "LANGUAGES"}[name]
    in_environment, in_file = refused(tmp_path, **{name: "x"}), refused(tmp_path, f"{name} = 'x'")
    assert f"MAILER_{name}" in in_environment
    assert str(tmp_path / "mailer.toml") in in_file
    assert all(name in message and f"{nearest}?" in message for message in (in_environment, in_file))


def test_a_setting_like_no_other_is_told_where_all_are_listed(tmp_path: Path) -> None:
    assert "mailer config --example" in refused(tmp_path, ZZZZZ="x")


def test_without_a_secret_key_it_says_how_to_get_one(tmp_path: Path) -> None:
    message = refused(tmp_path, SECRET_KEY="unset")
    assert "SECRET_KEY" in message
    assert "mailer init" in message


def test_two_ways_of_encryption_are_one_too_many(tmp_path: Path) -> None:
    message = refused(tmp_path, MAIL_USE_TLS="true", MAIL_USE_SSL="true")
    assert "MAIL_USE_TLS" in message
    assert "MAIL_USE_SSL" in message


@pytest.mark.parametrize("server", ["mail.example.org", "10.0.0.1", "0.0.0.0", "localhost.example.org", "2001:db8::1"])
def test_mail_goes_unencrypted_to_another_machine_only_where_that_is_allowed(tmp_path: Path, server: str) -> None:
    assert "MAIL_ALLOW_PLAINTEXT" in refused(tmp_path, MAIL_SERVER=server)
    for name in ("MAIL_ALLOW_PLAINTEXT", "MAIL_USE_TLS", "MAIL_USE_SSL"):
        assert load(tmp_path, MAIL_SERVER=server, **{name: "true"}).mail_server == server


@pytest.mark.parametrize("server", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_mail_may_go_unencrypted_to_this_machine(tmp_path: Path, server: str) -> None:
    assert load(tmp_path, MAIL_SERVER=server).mail_server == server


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("SECRET_KEY", "hunter2"),
        ("SECRET_KEY", "hunter2\n" + SECRET),
        ("MAIL_PASSWORD", "hunter2\n"),
        ("DATABASE_URL", "postgresql://u:hunter2@h/n\n"),
        ("BROKER_URL", "amqp://u:hunter2/@rabbitmq//"),
    ],
)
def test_an_error_never_shows_a_secret(tmp_path: Path, name: str, given: str) -> None:
    assert "hunter2" not in refused(tmp_path, **{name: given})


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "nosuch://user:hunter2@host/name",
        "postgresql+psycopg://user:hunter2@host:port/name",
        "postgresql+psycopg://user:with@sign:hunter2@host/name",
    ],
)
def test_a_database_address_that_can_not_work_is_an_error_without_the_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        create_app(load(tmp_path, DATABASE_URL=url))
    assert "DATABASE_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_settings_written_out_by_mistake_hold_no_secret() -> None:
    config = Config(secret_key=("hunter2",), mail_password="hunter3", database_url="postgresql://u:hunter4@h/n")
    assert "hunter" not in repr(config)


def test_no_file_is_needed(tmp_path: Path) -> None:
    assert load(tmp_path) == Config(
        secret_key=(SECRET,),
        database_url=f"sqlite:///{tmp_path / 'mailer.db'}",
        journal_folder=str(tmp_path / "journal"),
    )


def test_the_file_may_have_another_name(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("SEND_RATE = 5", encoding="utf-8")
    assert load(tmp_path, "SEND_RATE = 6", CONFIG="other.toml").send_rate == 5
    assert load(tmp_path, CONFIG=str(tmp_path / "other.toml")).send_rate == 5


@pytest.mark.parametrize("path", ["missing.toml", "."])
def test_a_file_that_was_named_must_be_there(tmp_path: Path, path: str) -> None:
    assert str(tmp_path / path) in refused(tmp_path, CONFIG=path)


@pytest.mark.parametrize("content", ["SEND_RATE", "SEND_RATE = 1\nSEND_RATE = 2", b"LIST_NAME = '\xff'"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: str | bytes) -> None:
    assert str(tmp_path / "mailer.toml") in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        ("sqlite:///a.db", "sqlite:///{folder}/a.db"),
        ("sqlite:///data/a.db", "sqlite:///{folder}/data/a.db"),
        ("sqlite+pysqlite:///a.db", "sqlite+pysqlite:///{folder}/a.db"),
        ("sqlite:////srv/a.db", "sqlite:////srv/a.db"),
    ],
)
def test_a_relative_sqlite_path_begins_in_the_folder(tmp_path: Path, given: str, resolved: str) -> None:
    assert load(tmp_path, DATABASE_URL=given).database_url == resolved.format(folder=tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///:memory:?cache=shared",
        "sqlite+pysqlite://",
        "sqlite+pysqlite:///:memory:",
    ],
)
def test_a_database_in_memory_is_refused(tmp_path: Path, url: str) -> None:
    assert "memory" in refused(tmp_path, DATABASE_URL=url)


@pytest.mark.parametrize(
    ("base_url", "host", "sender"),
    [
        ("https://lists.example.org:8443/x", "lists.example.org", "frontier-technologies@lists.example.org"),
        ("http://127.0.0.1:8000", "localhost", "frontier-technologies@localhost"),
        ("http://[::1]:8000", "localhost", "frontier-technologies@localhost"),
    ],
)
def test_senders_that_are_not_set_are_made_of_what_is(tmp_path: Path, base_url: str, host: str, sender: str) -> None:
    config = load(tmp_path, BASE_URL=base_url)
    assert (config.host, config.sender, config.account_sender, config.owner_address) == (host, sender, sender, sender)
    named = load(tmp_path, BASE_URL=base_url, MAIL_DEFAULT_SENDER="News <news@example.org>", LIST_OWNER="O <o@x.org>")
    assert (named.account_sender, named.owner_address) == ("News <news@example.org>", "o@x.org")


def test_the_example_is_toml_and_its_commented_values_are_the_defaults(tmp_path: Path) -> None:
    assert tomllib.loads(example()) == {}
    uncommented = re.sub(r"(?m)^# (?=[A-Z_]+ = )", "", example(SECRET_KEY=SECRET))
    assert set(tomllib.loads(uncommented)) == set(SETTINGS)
    assert load(tmp_path, uncommented, SECRET_KEY="unset") == load(tmp_path)


def test_the_example_says_what_each_setting_is_for() -> None:
    lines = example().splitlines()
    for name, setting in SETTINGS.items():
        at = next(number for number, line in enumerate(lines) if line.startswith(f"# {name} = "))
        assert setting.metadata["about"] in lines[at - 1]


def test_a_value_set_in_the_example_survives_quotes_and_backslashes(tmp_path: Path) -> None:
    name = 'A "quoted" \\ name'
    assert load(tmp_path, example(LIST_NAME=name, MAIL_PORT=26)).list_name == name


def test_mailer_config_shows_values_and_sources_and_masks_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mailer.toml").write_text(
        example(SECRET_KEY=SECRET, MAIL_PASSWORD="hunter2", DATABASE_URL="postgresql://u:hunter3@h/n"), encoding="utf-8"
    )
    shown = CliRunner().invoke(main, ["config"], env={"MAILER_SEND_RATE": "7"})
    assert shown.exit_code == 0
    rows = {line.split()[0]: line for line in shown.stdout.splitlines()}
    assert set(rows) == set(SETTINGS)
    assert "7" in rows["SEND_RATE"].split()
    assert "(MAILER_SEND_RATE)" in rows["SEND_RATE"]
    assert "(default)" in rows["MAIL_PORT"]
    assert all(secret not in shown.output for secret in (SECRET, "hunter2", "hunter3"))


def test_mailer_config_prints_an_example_that_works_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (CliRunner().invoke(main, ["config", "--example"]).stdout for _ in range(2))
    assert load(tmp_path, first, SECRET_KEY="unset").secret_key != load(tmp_path, second, SECRET_KEY="unset").secret_key
