"""Introductions of a digest, a Markdown file for each language."""

from pathlib import Path

from mailer.config import settings
from mailer.digests.files import FORBIDDEN, FrontMatter, is_link
from mailer.errors import BadInput
from mailer.letters import markdown
from mailer.models import Introduction


class IntroductionFile(FrontMatter):
    known = ("language", "title")


def read(path: Path) -> Introduction:
    """The introduction in a file: Markdown, whose front matter may name its `language` (else it is the list's first)
    and the digest's `title` in it. Raises BadInput naming the file and what to do."""
    try:
        source = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from None
    if FORBIDDEN.search(source):
        raise BadInput("the introduction holds a control character: save it as plain UTF-8 text")
    languages = settings().languages
    if source.startswith("---"):
        file = IntroductionFile(source, str(path))
        found = Introduction(language=file.language(languages), title=file.text("title"), text=file.body)
        if file.faults:
            raise BadInput("\n".join(file.faults))
    else:
        found = Introduction(language=languages[0], text=source.strip())
    if bad := [url for url in markdown.addresses(found.text) if not is_link(url)]:
        raise BadInput(f"{path} links to {bad[0]!r}; links begin with https://")
    return found


def read_all(paths: tuple[Path, ...]) -> list[Introduction]:
    """Raises BadInput for two in the same language."""
    found: dict[str, Introduction] = {}
    for path in paths:
        introduction = read(path)
        if introduction.language in found:
            raise BadInput(
                f"{path} is a second introduction in {introduction.language!r}; write 'language: …' between two "
                f"lines '---' at the top of those that are in another"
            )
        found[introduction.language] = introduction
    return list(found.values())
