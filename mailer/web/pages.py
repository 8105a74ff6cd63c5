"""What all pages share: the stylesheet, the language switcher and the security headers."""

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import get_locale

from mailer.config import settings
from mailer.languages import SOURCE, Language, language, offered
from mailer.links import links

site = Blueprint("pages", __name__, static_folder="static", static_url_path="/static")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' https: data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
CACHEABLE = ("pages.static", "archive.index", "archive.show")


def secure(response: Response) -> Response:
    """Every response, errors and static files too. A view may be stricter or, where it says why, looser."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint not in CACHEABLE:
        response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Content-Language", str(get_locale()))
    if request.endpoint != "pages.static":
        response.vary.add("Accept-Language")
    return response


def furniture() -> dict[str, Any]:
    """What every template may use."""
    return {
        "config": settings(),
        "language": language(str(get_locale() or SOURCE)),
        "languages": [language(code) for code in offered(settings().languages)],
        "switch": switch,
        "alternates": alternates,
    }


def switch(to: Language) -> str:
    """The page at hand in another language. A page that answers a form has no address of its own."""
    if not has_address():
        return url_for("signing_up.form", lang=to.code)
    return url_for(str(request.endpoint), **{**(request.view_args or {}), "lang": to.code})


def has_address() -> bool:
    return request.method in ("GET", "HEAD") and request.url_rule is not None


def alternates() -> list[tuple[str, str]]:
    """(hreflang, address) of a public page in each language, and of the one that goes by the browser's. Empty for the
    answer to a form."""
    if not has_address():
        return []
    page, codes = links().page, offered(settings().languages)
    return [*((code, page(request.path, lang=code)) for code in codes), ("x-default", page(request.path))]
