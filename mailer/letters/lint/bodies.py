"""Checks on the two parts of a letter: the text and the HTML."""

import re
from collections.abc import Iterator

from mailer.letters.lint.mail import Kind, Mail
from mailer.letters.lint.markup import LARGEST_HTML, Tag, one_line

STRUCTURE = ["multipart/alternative", "text/plain", "text/html"]
ENTITY = re.compile(r"&(?:nbsp|zwnj|amp|lt|gt|quot|#[0-9]+);")
MARKUP = re.compile(r"</?(?:a|br|div|em|h[1-6]|img|li|p|span|strong|table|td|tr)\b[^<>]{0,200}>")
VALUE, HANDLER = re.compile(r"""=\s*(?:"[^"]*"|'[^']*')"""), re.compile(r"(?i)[\s/]on[a-z]+\s*(?:=|\s|$)")
FILLING = re.compile(r"(?:[\u00ad\u034f\u200b-\u200d\ufeff][\s\u00a0]*){6}")
ISOLATES = re.compile("[\u2066-\u2069]")  # the text part may do without them, or have more
LARGEST_STYLES = 8_000
FOREIGN = ("script", "form", "input", "button", "iframe", "object", "embed", "video", "audio", "svg", "link", "base")


def structure(mail: Mail) -> Iterator[str]:
    kinds = [part.type for part in mail.parts]
    if mail.parts and kinds != STRUCTURE:
        yield f"the parts are {', '.join(kinds[:5])}"
    elif any(part.parameter("charset").lower() != "utf-8" for part in mail.parts[1:]):
        yield "a part is not in utf-8"


def text_has_all_links(mail: Mail) -> Iterator[str]:
    """But for those to leave by and to change settings, which another check is about."""
    own = (mail.leave_url, "/manage")
    for url in mail.page.addresses:
        if url.startswith(("http://", "https://")) and url not in mail.plain and not is_one_of(url, own):
            yield f"the text part lacks {url}"


def is_one_of(url: str, own: tuple[str, ...]) -> bool:
    return any(each and each in url for each in own)


def text_is_complete(mail: Mail) -> Iterator[str]:
    """Every heading in its order, and about as many words as the HTML has."""
    text, at = readable(mail.plain), 0
    for heading in map(readable, mail.page.headings):
        found = text.find(heading, at)
        if found < 0:
            yield f"the text part lacks {heading[:60]!r}, or has it elsewhere"
            return
        at = found + len(heading)
    if len(without_addresses(text)) < len(without_addresses(readable(mail.page.text))) // 2:
        yield "the text part says less than half of what the HTML says"


def readable(text: str) -> str:
    return one_line(ISOLATES.sub("", text))


def without_addresses(text: str) -> str:
    return re.sub(r"https?://\S+", "", text)


def text_is_plain(mail: Mail) -> Iterator[str]:
    if not are_shown(ENTITY.findall(mail.plain), mail):
        yield "the text part holds an entity"
    if not are_shown(MARKUP.findall(mail.plain), mail):
        yield "the text part holds HTML"
    if FILLING.search(mail.plain):
        yield "the text part holds what fills up a preview"


def are_shown(found: list[str], mail: Mail) -> bool:
    """Whether the HTML shows these words, too: the letter is about HTML."""
    return not mail.page.is_read or all(one_line(each) in mail.page.text for each in set(found))


def html_language(mail: Mail) -> Iterator[str]:
    tags = mail.page.tags
    outermost = mail.page.named("table") or mail.page.named("div")
    for tag in (*mail.page.named("html")[:1], *outermost[:1]):
        if not {"lang", "dir"} <= tag.attributes.keys():
            yield f"the outermost <{tag.name}> does not say its language and direction"
    if tags and not mail.page.named("html"):
        yield "the HTML has no <html>"


def own_direction(mail: Mail) -> Iterator[str]:
    outermost = (*mail.page.named("html", "body"), *(mail.page.named("table") or mail.page.named("div"))[:1])
    for tag in mail.page.tags:
        if " lang=" in tag.source and " dir=" not in tag.source and tag not in outermost:
            yield f"a <{tag.name}> in another language does not say its direction"
            return


def visible_links(mail: Mail) -> Iterator[str]:
    if mail.kind is not Kind.DIGEST or not (mail.parts and mail.page.is_read):
        return
    shown = [tag.attributes.get("href", "") for tag, words in mail.page.links if words and not tag.is_hidden]
    for what, url in (("leave the list", mail.leave_url), ("change one's settings", "/manage")):
        if url and url not in mail.plain:
            yield f"the plain part has no link to {what}"
        if url and not any(url in each for each in shown):
            yield f"the html part has no link to {what}"


def html_size(mail: Mail) -> Iterator[str]:
    size = len(mail.html.encode("utf-8", "replace"))
    if size > LARGEST_HTML:
        yield f"the HTML is {size // 1000} kB; mail providers cut it off at {LARGEST_HTML // 1000}"


def no_inline_images(mail: Mail) -> Iterator[str]:
    if any(source.startswith(("data:", "cid:")) for source in sources(mail)):
        yield "an image is inside the mail"


def sources(mail: Mail) -> list[str]:
    return [tag.attributes.get("src", "") for tag in mail.page.named("img")]


def no_tracking(mail: Mail) -> Iterator[str]:
    if any(map(is_pixel, mail.page.named("img"))):
        yield "an image that nobody can see, which tells when a letter is opened"
    addresses = [*sources(mail), *mail.page.addresses]
    if any(mail.to and mail.to in url for url in addresses if not url.startswith("mailto:")):
        yield "a web address holds the reader's address"


def is_pixel(image: Tag) -> bool:
    found = image.attributes
    return image.is_hidden or any(found.get(side, "").removesuffix("px") in ("0", "1") for side in ("width", "height"))


def nothing_loaded(mail: Mail) -> Iterator[str]:
    styles = [*mail.page.styles, *(tag.attributes.get("style", "") for tag in mail.page.tags if "style" in tag.source)]
    if any(re.search(r"url\s*\(|@import", each, re.IGNORECASE) for each in styles):
        yield "a style loads something from elsewhere"
    if any(" background=" in tag.source for tag in mail.page.tags):
        yield "a background loads an image"


def skeleton(mail: Mail) -> Iterator[str]:
    page = mail.page
    if not page.tags:
        return
    if not re.match(r"(?i)\s*<!doctype html", mail.html):
        yield "the HTML has no DOCTYPE"
    if not any(tag.attributes.get("charset", "").lower() == "utf-8" for tag in page.named("meta")):
        yield "the HTML has no <meta charset>"
    if not page.named("title"):
        yield "the HTML has no <title>"
    if any(tag.attributes.get("role") != "presentation" for tag in page.named("table")):
        yield 'a table lacks role="presentation"'
    if sum(map(len, page.styles)) > LARGEST_STYLES:
        yield f"<style> holds more than {LARGEST_STYLES // 1000} kB"


def no_foreign_elements(mail: Mail) -> Iterator[str]:
    found = dict.fromkeys(tag.name for tag in mail.page.named(*FOREIGN))
    yield from (f"there is a <{name}>, which mail programs remove" for name in found)
    if any(HANDLER.search(VALUE.sub(" ", tag.source)) for tag in mail.page.tags if "on" in tag.source.lower()):
        yield "an element has a script"
    if any(url.strip().lower().startswith(("javascript:", "vbscript:", "data:")) for url in mail.page.addresses):
        yield "a link runs a script"


def images(mail: Mail) -> Iterator[str]:
    for tag in mail.page.named("img"):
        found = tag.attributes
        if "alt" not in found:
            yield f"the image {found.get('src', '')[:80]} has no alternative text"
        if not found.get("src", "").startswith(("https://", "data:", "cid:")):
            yield f"the image {found.get('src', '')[:80]} is not at an https address"
