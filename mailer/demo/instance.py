"""The throw-away instance: a temporary folder with settings and a database, a mail catcher, the samples."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade

from mailer import topics
from mailer.app import create_app
from mailer.config import Config, example, fresh_secret
from mailer.demo.catcher import Catcher
from mailer.demo.mailbox import mailbox
from mailer.digests import announcements, compose
from mailer.lists import make_list, the_list

TOPICS = {
    "generative-ai": {"en": "Generative AI", "fr": "IA générative"},
    "copyright": {"en": "Copyright", "fr": "Droit d’auteur"},
    "policy": {"en": "Policy", "fr": "Politiques publiques"},
    "ip-offices": {"en": "IP offices", "fr": "Offices de propriété intellectuelle"},
}
SAMPLES = Path(__file__).parent.parent / "samples"


@dataclass(frozen=True)
class Instance:
    folder: Path
    app: Flask
    catcher: Catcher
    digest_id: int  # a draft of all samples

    @property
    def settings_file(self) -> Path:
        return self.folder / "mailer.toml"


@contextmanager
def instance(port: int) -> Iterator[Instance]:
    """An instance whose links point to `port`, ready to be served. It leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="mailer-demo-") as name, Catcher() as catcher:
        folder = Path(name)
        write_settings(folder, port, catcher.port)
        app = create_app(Config.load({}, folder))
        app.register_blueprint(mailbox(catcher))
        with app.app_context():
            upgrade()
            make_list()
            digest_id = prepare()
        yield Instance(folder, app, catcher, digest_id)


def write_settings(folder: Path, port: int, mail_port: int) -> None:
    text = example(
        SECRET_KEY=fresh_secret(),
        DATABASE_URL=f"sqlite:///{folder / 'mailer.db'}",
        BASE_URL=f"http://127.0.0.1:{port}",
        MAIL_PORT=mail_port,
        MAIL_DEFAULT_SENDER="Frontier Technologies <news@lists.example.org>",
        MAIL_ACCOUNT_SENDER="Frontier Technologies <account@lists.example.org>",
        LIST_OWNER="frontier@lists.example.org",
        ORGANISATION="Example Organisation",
        POSTAL_ADDRESS="1 Example Road, 1200 Example Town",
    )
    (folder / "mailer.toml").write_text(text, encoding="utf-8")


def prepare() -> int:
    """Named topics, the samples as announcements, and a first draft of them, the recap first."""
    for key, names in TOPICS.items():
        topics.add(the_list().id, key, names)
    added = announcements.add(sorted(SAMPLES.glob("*.md")))
    ids = {each.announcement.key: each.announcement.id for each in added}
    recap = ids.pop("conversation-8")
    return compose.compose(compose.Choice([recap, *ids.values()])).id
