"""Ways to spoil a mail, one fault each. A way takes the bytes of a good mail and gives those of a faulty one."""

import re
from collections.abc import Callable, Sequence
from functools import reduce

from mailer.letters.lint import Mail
from mailer.letters.message import quoted_printable

Way = Callable[[bytes], bytes]
Change = Callable[[str], str]


def swap(pattern: bytes, new: bytes) -> Way:
    """Another text for the first one that the pattern finds."""

    def spoil(raw: bytes) -> bytes:
        spoilt, count = re.subn(pattern, new, raw, count=1)
        assert count, pattern
        return spoilt

    return spoil


def header(name: str, value: bytes) -> Way:
    """Another value for a header."""
    return swap(rb"(?m)^%s: (?:.*\r\n[ \t])*.*\r$" % name.encode(), b"%s: %s\r" % (name.encode(), value))


def without(name: str) -> Way:
    return swap(rb"(?m)^%s: (?:.*\r\n[ \t])*.*\r\n" % name.encode(), b"")


def more(line: bytes) -> Way:
    """One more header."""
    return swap(rb"\r\nMIME-Version", b"\r\n%s\r\nMIME-Version" % line)


def both(*ways: Way) -> Way:
    return lambda raw: reduce(lambda spoilt, way: way(spoilt), ways, raw)


def in_head(old: bytes, new: bytes) -> Way:
    """Everywhere in the headers."""

    def spoil(raw: bytes) -> bytes:
        head, end, body = raw.partition(b"\r\n\r\n")
        return head.replace(old, new) + end + body

    return spoil


def in_part(number: int, change: Change) -> Way:
    """Other words for a part: 1 is the text, 2 the HTML."""

    def spoil(raw: bytes) -> bytes:
        entity = Mail(raw).parts[number]
        boundary = b"--" + Mail(raw).entity.parameter("boundary").encode()
        pieces = raw.split(boundary)
        head = pieces[number].partition(b"\r\n\r\n")[0]
        words = change(entity.text.replace("\r\n", "\n"))
        assert words != entity.text.replace("\r\n", "\n")
        pieces[number] = head + b"\r\n\r\n" + quoted_printable(words).encode("ascii") + b"\r\n"
        return boundary.join(pieces)

    return spoil


def text(pattern: str, new: str) -> Way:
    return in_part(1, replaced(pattern, new))


def html(pattern: str, new: str) -> Way:
    return in_part(2, replaced(pattern, new))


def replaced(pattern: str, new: str) -> Change:
    """Everything that the pattern finds."""
    return lambda words: re.sub(pattern, new, words)


def hidden_way_out(words: str) -> str:
    """The link is there, and nobody sees it."""
    return re.sub(
        r"<a [^>]*/unsubscribe/[^>]*>", lambda found: found[0].replace('style="', 'style="display:none;'), words
    )


def undirected(words: str) -> str:
    return re.sub(r'(<table[^>]*) dir="..."', r"\1", words, count=1)


def first_heading_last(words: str) -> str:
    """The text's title behind all that it was above."""
    first, _, rest = words.partition("\n\n")
    return f"{rest}\n{first}\n"


def parts_turned(raw: bytes) -> bytes:
    boundary = b"--" + Mail(raw).entity.parameter("boundary").encode()
    head, plain, html_part, end = raw.split(boundary)
    return boundary.join([head, html_part, plain, end])


def part_added(raw: bytes) -> bytes:
    boundary = b"--" + Mail(raw).entity.parameter("boundary").encode()
    attached = b"\r\nContent-Type: application/pdf\r\n\r\nJVBERi0=\r\n"
    head, plain, html_part, end = raw.split(boundary)
    return boundary.join([head, plain, html_part, attached, end])


def in_body(line: bytes, times: int = 1) -> Way:
    """A line, or many, before the text."""
    return swap(rb"quoted-printable\r\n\r\n", b"quoted-printable\r\n\r\n" + (line + b"\r\n") * times)


Cases = Sequence[tuple[str, str, Way]]  # the rule that has to find it, what it is, and the way to make it
LEAVE = r"https?://[^\s\"]+/unsubscribe/[^\s\"]+"
MANAGE = r"https?://[^\s\"]+/manage[^\s\"]*"
ELSEWHERE = "https://lists.example.org/"
WATCHED = "https://example.org/?reader=reader@example.org"
HIDDEN = '<img style="display: none"'
IMAGE = '<img src="https://example.org/a.png" alt="A room" width="600" height="300">'

IN_EVERY_LETTER: Cases = [
    ("D-1", "a bare LF", swap(rb"\r\nMIME-Version", b"\nMIME-Version")),
    ("D-1", "a bare CR", swap(rb"\r\n\r\n", b"\r\n\r\n\r")),
    ("D-1", "a NUL", in_body(b"a\0b")),
    ("D-1", "a lone dot", in_body(b".")),
    ("D-1", "no end of the last line", swap(rb"\r\n\Z", b"")),
    ("D-2", "a long header", more(b"Reply-To: <" + b"x" * 990 + b"@example.org>")),
    ("D-2", "a long line in a body", in_body(b"x" * 77)),
    ("D-3", "UTF-8 in a body", in_body("é".encode())),
    ("D-3", "Latin-1 in a header", swap(rb"Subject: ", b"Subject: \xe9")),
    ("D-4", "two subjects", more(b"Subject: Another")),
    ("D-4", "no date", without("Date")),
    ("D-4", "no sender", both(without("From"), without("Message-ID"))),
    ("D-4", "a Bcc", more(b"Bcc: ben@example.org")),
    ("D-4", "a sender that says what From says", swap(rb"(?m)^From: (.*)\r$", rb"From: \1\r\nSender: \1\r")),
    ("D-5", "two recipients", swap(rb"(?m)^To: (.*)\r$", rb"To: \1, ben@example.org\r")),
    ("D-5", "nobody", header("To", b"everybody")),
    ("D-5", "a Cc", more(b"Cc: ben@example.org")),
    ("D-6", "two senders", swap(rb"(?m)^From: ", b"From: Ben <ben@example.org>, ")),
    ("D-8", "another zone", swap(rb" \+0000\r", b" +0200\r")),
    ("D-8", "a zone by name", swap(rb" \+0000\r", b" GMT\r")),
    ("D-8", "a day that is none", header("Date", b"Mon, 31 Feb 2026 12:00:00 +0000")),
    ("D-8", "another weekday", header("Date", b"Mon, 01 Mar 2026 12:00:00 +0000")),
    ("D-9", "this machine", swap(rb"(?m)^Message-ID: <([^@]+)@.*\r$", rb"Message-ID: <\1@localhost>\r")),
    ("D-9", "no brackets", swap(rb"(?m)^Message-ID: <(.*)>\r$", rb"Message-ID: \1\r")),
    ("D-10", "another kind", swap(rb"multipart/alternative", b"multipart/mixed")),
    ("D-10", "the HTML first", parts_turned),
    ("D-10", "an attachment", part_added),
    ("D-10", "another character set", swap(rb"text/html; charset=utf-8", b"text/html; charset=us-ascii")),
    ("D-11", "a link that only the HTML has", html("</h1>", '</h1><a href="https://example.org/x">x</a>')),
    ("D-11", "a heading that only the HTML has", html("</h1>", "</h1><h2>And one more thing</h2>")),
    ("D-11", "a text that is an excuse", in_part(1, lambda words: "\n".join(re.findall(r"https?://\S+", words)))),
    ("D-11", "an entity", text(r"\A", "&nbsp;")),
    ("D-11", "a tag", text(r"\A", "<p>")),
    ("D-11", "what fills up a preview", text(r"\A", "\u200c\u00a0" * 30)),
    ("D-12", "a word that is too long", header("Subject", b"=?utf-8?b?" + b"QUFB" * 20 + b"?=")),
    ("D-12", "words that touch", header("Subject", b"=?utf-8?q?a?==?utf-8?q?b?=")),
    ("D-12", "half a letter", header("Subject", b"=?utf-8?q?=D0?= =?utf-8?q?=9D?=")),
    ("D-13", "an encoded id", header("Message-ID", b"=?utf-8?q?=3Ca=40lists.example.org=3E?=")),
    ("D-14", "a control character", header("Subject", b"A\x1fB")),
    ("D-14", "an encoded line break", header("Subject", b"=?utf-8?q?A=0D=0ABcc=3A_b=40example=2Eorg?=")),
    ("D-14", "an encoded line separator", header("Subject", b"=?utf-8?q?A=E2=80=A8B?=")),
    ("D-16", "a domain that is no text", header("To", b"ada@xn--99999999.example.org")),
    ("D-16", "a domain as people write it", header("To", "ada@faß.de".encode())),
    ("D-18", "a long address", header("To", b"a" * 65 + b"@example.org")),
    ("D-18", "a host by number", header("To", b"ada@[192.0.2.1]")),
    ("D-18", "a quoted name", header("To", b'"ada lovelace"@example.org')),
    ("D-19", "no language in the headers", without("Content-Language")),
    ("D-19", "two languages", header("Content-Language", b"de")),
    ("D-19", "no language in the HTML", html(r"<html[^>]*>", "<html>")),
    ("D-19", "no direction around it all", in_part(2, undirected)),
    ("D-20", "a foreign word", html("</h1>", '</h1><p lang="he">שלום</p>')),
    ("D-35", "the program's name", more(b"X-Mailer: mailer 1.0")),
    ("D-35", "the machine", more(b"X-Originating-IP: 192.0.2.1")),
    ("D-36", "a large mail", in_body(b"x" * 70, 8_000)),
    ("D-36", "large HTML", html("</h1>", "</h1>" + "<p>x</p>" * 15_000)),
    ("D-36", "an image as data", html("</h1>", '</h1><img src="data:image/png;base64,AA" alt="A room" width="9">')),
    ("D-36", "an attached image", html("</h1>", '</h1><img src="cid:a@example.org" alt="A room" width="9">')),
    ("D-37", "a dot", in_body(b".hidden")),
    ("D-38", "a pixel", html("</body>", IMAGE.replace("600", "1").replace("A room", "") + "</body>")),
    ("D-38", "an image that is hidden", html("</body>", IMAGE.replace("<img", HIDDEN) + "</body>")),
    ("D-38", "a style from elsewhere", html("(<style[^>]*>)", r"\1@import 'https://example.org/a.css';")),
    ("D-38", "a background", html("<body", '<body background="https://example.org/a.png"')),
    ("D-39", "an address elsewhere", more(b"CFBL-Address: fbl@example.org; report=arf")),
    ("D-189", "no DOCTYPE", html("(?i)<!doctype html>", "")),
    ("D-189", "no character set", html("<meta charset[^>]*>", "")),
    ("D-189", "no title", html("<title>.*?</title>", "")),
    ("D-189", "a table of data", in_part(2, lambda words: words.replace(' role="presentation"', "", 1))),
    ("D-189", "a sheet", html("(<style[^>]*>)", r"\1" + "p { margin: 0 } " * 600)),
    ("D-189", "a script", html("</body>", "<script>alert(1)</script></body>")),
    ("D-189", "a form", html("</body>", "<form></form></body>")),
    ("D-189", "a script in an element", html("<h1", '<h1 onclick="alert(1)"')),
    ("D-189", "a script in a link", html("</h1>", '</h1><a href="javascript:alert(1)">x</a>')),
    ("D-189", "an image without words", html("</h1>", "</h1>" + IMAGE.replace(' alt="A room"', ""))),
    ("D-189", "an image in the clear", html("</h1>", "</h1>" + IMAGE.replace("https", "http"))),
]  # fmt: skip

IN_A_DIGEST: Cases = [
    ("D-4", "two List-Ids", more(b"List-Id: News <news.lists.example.org>")),
    ("D-6", "a sender where anybody can be", both(
        swap(rb"(?m)^(From: .*)<.*>\r$", rb"\1<frontier@gmail.com>\r"),
        swap(rb"(?m)^(Message-ID: .*)@.*>\r$", rb"\1@gmail.com>\r"),
        header("List-Id", b"News <news.gmail.com>"),
    )),
    ("D-11", "headings in another order", in_part(1, first_heading_last)),
    ("D-13", "an encoded address", header("List-Archive", b"=?utf-8?q?=3Chttps=3A//lists=2Eexample=2Eorg=3E?=")),
    ("D-13", "an address folded inside", header("List-Archive", b"<https://lists.example.org/\r\n archive>")),
    ("D-13", "an encoded campaign", header("Feedback-ID", b"=?utf-8?q?a=3Ab=3Ac=3Adefgh?=")),
    ("D-21", "no List-Id", without("List-Id")),
    ("D-21", "no brackets", header("List-Id", b"news.lists.example.org")),
    ("D-21", "no name", header("List-Id", b"<news.lists.example.org>")),
    ("D-21", "another domain", header("List-Id", b"News <news.example.com>")),
    ("D-22", "no List-Post", without("List-Post")),
    ("D-22", "no List-Help", without("List-Help")),
    ("D-22", "an owner without brackets", header("List-Owner", b"mailto:news@lists.example.org")),
    ("D-23", "no header to leave by", without("List-Unsubscribe")),
    ("D-23", "no one-click", without("List-Unsubscribe-Post")),
    ("D-23", "another word", header("List-Unsubscribe-Post", b"List-Unsubscribe=Yes")),
    ("D-23", "by mail only", header("List-Unsubscribe", b"<mailto:news@lists.example.org>")),
    ("D-23", "no comma", swap(rb">,\r\n <mailto:", b">\r\n <mailto:")),
    ("D-23", "the reader's address", swap(rb"\?subject=unsubscribe", b"?subject=reader@example.org")),
    ("D-23", "in the clear", both(
        swap(rb"(?m)^List-Unsubscribe: <https", b"List-Unsubscribe: <http"),
        text("https(://[^/]+/unsubscribe)", r"http\1"), html("https(://[^/]+/unsubscribe)", r"http\1"),
    )),
    ("D-31", "no way out in the text", text(LEAVE, ELSEWHERE)),
    ("D-31", "no way out in the HTML", html(LEAVE, ELSEWHERE)),
    ("D-31", "a way out that is hidden", in_part(2, hidden_way_out)),
    ("D-31", "no settings in the text", text(MANAGE, ELSEWHERE)),
    ("D-31", "no settings in the HTML", html(MANAGE, ELSEWHERE)),
    ("D-33", "no precedence", without("Precedence")),
    ("D-33", "automatic answers", without("X-Auto-Response-Suppress")),
    ("D-34", "no campaign", without("Feedback-ID")),
    ("D-34", "a short sender", header("Feedback-ID", b"a:b:c:d")),
    ("D-34", "a reader in it", header("Feedback-ID", b"reader@example.org:b:c:defgh")),
    ("D-38", "the reader's address in a link", both(
        text(r"\Z", f"{WATCHED}\n"), html("</body>", f'<a href="{WATCHED}">x</a></body>'),
    )),
]  # fmt: skip

IN_A_CONFIRMATION: Cases = [
    ("D-32", "nothing about a machine", without("Auto-Submitted")),
    ("D-32", "a person", header("Auto-Submitted", b"no")),
    ("D-33", "a precedence", more(b"Precedence: bulk")),
    ("D-40", "a List-Id", more(b"List-Id: News <news.lists.example.org>")),
    ("D-40", "a campaign", more(b"Feedback-ID: a:b:c:defgh")),
    ("D-40", "two ways to confirm", text(r"\Z", "\nhttps://lists.example.org/confirm/another\n")),
    ("D-40", "no way to say that it was not me", both(
        text(r"https?://\S+/not-me/\S+", ELSEWHERE), html(r'https?://[^"]+/not-me/[^"]+', ELSEWHERE),
    )),
]  # fmt: skip
