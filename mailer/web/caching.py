"""Public pages that anybody may keep, and that are not made anew for who has them already (RFC 9110 13, RFC 9111)."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from flask import Response, current_app, request
from werkzeug.http import is_resource_modified, quote_etag

from mailer import __version__
from mailer.config import settings
from mailer.languages import CATALOGUES

MOST = 64  # pages in memory
KEPT = "public, max-age=300"  # seconds in which a correction, or a digest that is kept out, may go unnoticed


def conditional(marks: object, changed_at: datetime | None, make: Callable[[], str | bytes], kind: str) -> Response:
    """The page that `make` makes, or 304 without making it for whoever has the same.

    `marks`: all that its words depend on besides what `fingerprint` covers, in a form that shows every difference.
    """
    tag = sha256(repr((fingerprint(), request.endpoint, marks)).encode()).hexdigest()[:32]
    is_new = is_resource_modified(request.environ, quote_etag(tag, weak=True), last_modified=changed_at)
    answer = Response(body(tag, make), content_type=f"{kind}; charset=utf-8") if is_new else Response(status=304)
    answer.headers["Cache-Control"] = KEPT
    answer.set_etag(tag, weak=True)  # not byte for byte: a proxy may compress it
    answer.last_modified = changed_at
    return answer


def body(tag: str, make: Callable[[], str | bytes]) -> str | bytes:
    """Made once in a process, as long as not too many others are asked for: the tag tells all that it depends on."""
    made: OrderedDict[str, str | bytes] = current_app.extensions.setdefault("mailer.pages", OrderedDict())
    found = made.pop(tag, None) or make()
    made[tag] = found
    while len(made) > MOST:
        made.popitem(last=False)
    return found


def fingerprint() -> str:
    """Of what pages are made of besides the database: templates, catalogues and the settings that they show. The same
    in all processes of an installation; once in each."""
    known: dict[str, str] = current_app.extensions.setdefault("mailer.fingerprint", {})
    if "pages" not in known:
        config = settings()
        shown = (config.base_url, config.list_name, config.organisation, config.languages, config.timezone)
        made = sha256(repr((__version__, shown)).encode())
        for path in sorted(sources()):
            made.update(path.read_bytes())
        known["pages"] = made.hexdigest()
    return known["pages"]


def sources() -> Iterator[Path]:
    templates = Path(current_app.root_path, str(current_app.template_folder))
    for folder in (templates / "pages", templates / "parts", CATALOGUES):
        yield from (path for path in folder.rglob("*") if path.suffix in (".html", ".txt", ".po"))
