"""The only wiring place: settings in, a Flask application out."""

import threading
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import jinja2
from babel import negotiate_locale
from flask import Flask, Response, current_app, has_request_context, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_mail import Mail
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix

from mailer import logs
from mailer.config import Config
from mailer.db import db, engine_options, explain
from mailer.delivery import outbox
from mailer.errors import ConfigError, MailerError, Overloaded
from mailer.languages import Languages, day, days, offered
from mailer.letters.slots import slot
from mailer.links import Links

LARGEST_REQUEST = 64 * 1024  # bytes; the forms are small


def folder(name: str) -> Path:
    """`templates` or `migrations`: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent
    return package / name if (package / name).is_dir() else package.parent / name


def create_app(config: Config | None = None, *, lean: bool = False) -> Flask:
    """The application of one installation. Raises ConfigError for settings that can't work.

    `lean`: without pages and migrations, for commands that need neither; loading them takes longer than many a send.
    """
    config = config or Config.load()
    logs.set_up()
    if not offered(config.languages):
        raise ConfigError(f"LANGUAGES {','.join(config.languages)}: none of them has a catalogue")
    app = Flask(__name__, template_folder=str(folder("templates")), static_folder=None)
    app.jinja_env.undefined = jinja2.StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["slot"] = slot
    app.jinja_env.filters.update(day=day, days=days)
    app.config.update(flask_settings(config))
    app.extensions["mailer.config"] = config
    app.extensions["mailer.links"] = Links(config.base_url, config.secret_key)
    configure_database(app)
    Mail(app)
    Languages(app, locale_selector=choose_language, default_timezone=config.timezone)
    if config.engine == "celery":
        add_broker(app)
    if not lean:
        add_pages(app)
        add_migrations(app)
    app.register_error_handler(MailerError, show_error)
    app.register_error_handler(exc.SQLAlchemyError, show_database_error)
    app.register_error_handler(HTTPException, show_http_error)
    if config.trusted_proxies:
        # Of what proxies say only the client's address counts: links come from BASE_URL, never from a request.
        # Werkzeug's own way to wrap an application, which a type checker takes for a mistake.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=config.trusted_proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
    return app


def flask_settings(config: Config) -> dict[str, object]:
    return {
        "SECRET_KEY": config.secret_key[0],
        "SQLALCHEMY_DATABASE_URI": config.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(config.database_url),
        "MAX_CONTENT_LENGTH": LARGEST_REQUEST,
        "MAX_FORM_MEMORY_SIZE": LARGEST_REQUEST,
        "TRUSTED_HOSTS": [urlsplit(config.base_url).hostname or "", "127.0.0.1", "localhost", "[::1]"],
        "MAIL_SERVER": config.mail_server,
        "MAIL_PORT": config.mail_port,
        "MAIL_USERNAME": config.mail_username or None,
        "MAIL_PASSWORD": config.mail_password or None,
        "MAIL_USE_TLS": config.mail_use_tls,
        "MAIL_USE_SSL": config.mail_use_ssl,
        "MAIL_DEFAULT_SENDER": config.sender,
        "MAIL_SUPPRESS_SEND": False,
    }


def configure_database(app: Flask) -> None:
    try:
        db.init_app(app)
        with app.app_context():
            # A URL that can't work fails here, not at the first visitor.
            if db.engine.dialect.name == "sqlite":
                app.extensions["mailer.writer"] = threading.RLock()
    except (exc.ArgumentError, exc.NoSuchModuleError, ImportError) as error:
        raise ConfigError(
            "DATABASE_URL is not a database address like sqlite:///mailer.db or "
            f"postgresql+psycopg://user:password@host/name ({str(error).splitlines()[0]})"
        ) from None
    except ValueError:  # its text holds a piece of the password
        raise ConfigError(
            "DATABASE_URL has a port that is no number; in a password, write @ as %40, : as %3A and / as %2F"
        ) from None


def add_pages(app: Flask) -> None:
    from mailer import web

    web.register(app)


def add_broker(app: Flask) -> None:
    """Workers are told of letters as soon as they are written."""
    try:
        from mailer.broker import HERALD, Herald
    except ImportError:
        raise ConfigError("ENGINE celery needs Celery: pip install 'mailer[celery]'") from None
    herald = app.extensions[HERALD] = Herald()  # which the signal holds but weakly
    outbox.filled.connect(herald.on_filled)


def add_migrations(app: Flask) -> None:
    from flask_migrate import Migrate

    Migrate(app, db, directory=str(folder("migrations")), render_as_batch=True)


def choose_language() -> str:
    """`?lang=` of any page, else the browser's, else the list's first."""
    languages = offered(current_app.extensions["mailer.config"].languages)
    if not has_request_context():
        return languages[0]
    if (asked := request.args.get("lang", "")) in languages:
        return asked
    preferred = [code.replace("-", "_") for code in request.accept_languages.values()]
    return negotiate_locale(preferred, languages) or languages[0]


def error_page(status: int) -> str | Response:
    """For programs as JSON."""
    if request.path.startswith("/api/"):
        return jsonify(error=HTTPStatus(status).phrase.lower())
    return render_template("pages/error.html", status=status)


def show_error(error: MailerError) -> ResponseReturnValue:
    """A page that says in the reader's language what can be done; details stay in the log."""
    headers = {"Retry-After": "30"} if error.status == 503 else {}
    if isinstance(error, Overloaded):  # which comes by the thousand, and is in the metrics
        return kept_page(error.status), error.status, headers
    if error.status >= 500:
        current_app.logger.warning("%s", error)
    return error_page(error.status), error.status, headers


def kept_page(status: int) -> str | Response:
    """Rendered once for each page and language: there is no time for more."""
    if request.path.startswith("/api/"):
        return error_page(status)
    pages: dict[tuple[str, str], str | Response] = current_app.extensions.setdefault("mailer.kept", {})
    key = (request.path, choose_language())
    if key not in pages:
        pages[key] = error_page(status)
    return pages[key]


def show_database_error(error: exc.SQLAlchemyError) -> ResponseReturnValue:
    known = explain(error)
    if known is None:
        raise error
    return show_error(known)


def show_http_error(error: HTTPException) -> ResponseReturnValue:
    if isinstance(error, SecurityError):  # a host that is not ours: there is no page to build an address for
        return Response(f"{error.description}\n", 400, content_type="text/plain; charset=utf-8")
    status = error.code or 500
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return error_page(status), status, headers
