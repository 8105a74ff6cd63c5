"""What all pages share: the stylesheet, the language switcher and the security headers."""

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import get_locale

from mailer.config import settings
from mailer.languages import SOURCE, Language, language, offered
from mailer.links import links

site = Blueprint("pages", __name__, static_folder="static", static_url_path="/static")


def policy(*, script: str = "", worker: str = "", image: str = "'self' data:") -> str:
    """What a page may load and where its forms may go: our own sheet and pictures, no script unless it says so."""
    sources = {
        "default-src": "'none'",
        "script-src": script,
        "worker-src": worker,
        "style-src": "'self'",
        "img-src": image,
        "form-action": "'self'",
        "base-uri": "'none'",
        "object-src": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in sources.items() if value)


HEADERS = {
    "Content-Security-Policy": policy(),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
WITH_PICTURES = policy(image="'self' data: https:")  # announcements may show pictures of other sites
IN_NO_LANGUAGE = ("pages.static", "archive.sitemap", "about.robots")
ONE_YEAR = "max-age=31536000; includeSubDomains"


def headers() -> dict[str, str]:
    """What every answer has. Browsers are kept on https only where the site is."""
    on_https = settings().base_url.startswith("https:")
    return HEADERS | ({"Strict-Transport-Security": ONE_YEAR} if on_https else {})


def secure(response: Response) -> Response:
    """Every response, errors and static files too. A view may be stricter or, where it says why, looser."""
    for name, value in headers().items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    if request.endpoint not in IN_NO_LANGUAGE:
        response.headers.setdefault("Content-Language", str(get_locale()))
        if request.args.get("lang") != str(get_locale()):
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
        "canonical": canonical,
        "feeds": feeds,
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
    return in_every_language(request.path) if has_address() else []


def in_every_language(path: str) -> list[tuple[str, str]]:
    page, codes = links().page, offered(settings().languages)
    return [*((code, page(path, lang=code)) for code in codes), ("x-default", page(path))]


def feeds() -> list[tuple[str, str, str]]:
    """(language, title, address) of the feed in each language, the reader's own first."""
    codes = sorted(offered(settings().languages), key=lambda code: code != str(get_locale()))
    return [(code, f"{settings().list_name} ({language(code).name})", feed_address(code)) for code in codes]


def feed_address(code: str, number: int = 1) -> str:
    page = {"page": str(number)} if number > 1 else {}
    return links().page("/archive/feed.atom", lang=code, **page)


def canonical() -> str:
    """The one address of the page at hand in the language it is shown in."""
    return links().page(request.path, lang=str(get_locale()))
