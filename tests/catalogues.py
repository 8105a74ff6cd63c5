"""`make translations`: collect every text of pages, letters and code into the catalogues, for translators."""

import io
import re
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from mailer.languages import CATALOGUES

ROOT = Path(__file__).parent.parent
METHODS = [("mailer/**.py", "python"), ("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2")]
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}
# Header lines that say nothing here, or would differ at every run and on every branch.
CHANGING = re.compile(
    rb'(?m)^"(?:Report-Msgid-Bugs-To|POT-Creation-Date|PO-Revision-Date|Last-Translator|Language-Team|Generated-By)'
    rb": .*\n"
)


def texts() -> Catalog:
    """Every text that a reader can meet, from the sources as they are now."""
    catalogue = Catalog(project="mailer")
    options = {"**": {"silent": "false", "encoding": "utf-8"}}
    found = extract_from_dir(ROOT, METHODS, options_map=options, keywords=KEYWORDS)
    for _file, _line, message, _comments, context in found:
        catalogue.add(message, context=context)
    return catalogue


def every() -> dict[str, Path]:
    return {path.parts[-3]: path for path in sorted(CATALOGUES.glob("*/LC_MESSAGES/messages.po"))}


def read(code: str) -> Catalog:
    with every()[code].open("rb") as file:
        return read_po(file, locale=code)


def update() -> None:
    for code, path in every().items():
        catalogue = read(code)
        catalogue.update(texts(), no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        written = io.BytesIO()
        write_po(written, catalogue, sort_output=True, no_location=True, omit_header=False, width=120)
        path.write_bytes(CHANGING.sub(b"", written.getvalue()))


if __name__ == "__main__":
    update()
