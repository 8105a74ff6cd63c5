"""From a letter's three templates to its words: subject, text and HTML in one language."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import css_inline
from flask import render_template
from flask_babel import force_locale

from mailer.config import settings
from mailer.errors import BadInput
from mailer.languages import language
from mailer.letters.lint.markup import LARGEST_HTML
from mailer.letters.markdown import one_line, without_brackets_in_values
from mailer.letters.plain import from_the_right, tidy, underlined

# Invisible characters by which Arabic texts hold names of other scripts together; some inboxes show boxes for them.
WITHOUT_ISOLATES = dict.fromkeys((0x2068, 0x2069))


@dataclass(frozen=True)
class Words:
    subject: str
    text: str
    html: str


def render(letter: str, code: str, **context: Any) -> Words:
    """The letter `templates/letters/<letter>/` in the language `code`. Raises BadInput if it is too large."""
    config = settings()
    with force_locale(code):

        def fill(name: str) -> str:
            return render_template(
                f"letters/{letter}/{name}", language=language(code), config=config, underlined=underlined, **context
            )

        subject = one_line(fill("subject.txt")).translate(WITHOUT_ISOLATES)
        text = tidy(fill("body.txt"))
        html = without_brackets_in_values(inliner().inline(fill("body.html")))
    if language(code).direction == "rtl":
        text = "".join(map(from_the_right, text.splitlines(keepends=True)))
    if (size := len(html.encode())) > LARGEST_HTML:
        raise BadInput(
            f"the {letter} in {language(code).name} is {size // 1000} kB of HTML; mail providers cut it off "
            f"at {LARGEST_HTML // 1000} kB: shorten it or split it in two"
        )
    return Words(subject, text, html)


@cache
def inliner() -> css_inline.CSSInliner:
    """Our own stylesheet into style attributes."""
    return css_inline.CSSInliner(load_remote_stylesheets=False, minify_css=True)
