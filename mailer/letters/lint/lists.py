"""Checks on the headers of a mailing list: a digest has them, a letter to one person has none."""

import re
from collections.abc import Iterator

from mailer.letters.lint.headers import LIST
from mailer.letters.lint.mail import Kind, Mail

LONGEST_IDENTIFIER = 255  # octets, RFC 2919 2
ADDRESSES = ("List-Help", "List-Owner", "List-Archive", "List-Subscribe")
LOOPBACK = re.compile(r"http://(?:127\.[0-9.]+|localhost|\[::1\])[:/]")  # a trial on one's own machine


def list_id(mail: Mail) -> Iterator[str]:
    if mail.kind is not Kind.DIGEST:
        return
    found = re.search(r"^(.*)<([a-z0-9-]+(?:\.[A-Za-z0-9-]+)+)>$", mail.header("List-Id"))
    if not found or len(found[2]) > LONGEST_IDENTIFIER:
        yield "List-Id has no identifier like <name.example.org>"
    elif not found[1].strip():
        yield "List-Id has no name that people can read"
    elif mail.sender_domain and not are_kin(found[2], mail.sender_domain):
        yield "List-Id is not in the sender's domain"


def are_kin(one: str, other: str) -> bool:
    """Whether one domain is below the other, or both are of one organisation."""
    one, other = f".{one.lower()}", f".{other.lower()}"
    return one.endswith(other) or other.endswith(one) or one.split(".")[-2:] == other.split(".")[-2:]


def list_headers(mail: Mail) -> Iterator[str]:
    if mail.kind is Kind.DIGEST:
        for name in ADDRESSES:
            value = mail.header(name)
            if not value:
                yield f"{name} is missing"
            elif "=?" not in value and not re.fullmatch(r"<[^<>\s]+>(, ?<[^<>\s]+>)*", without_folds(value)):
                yield f"{name} is no address in angle brackets"
        if mail.header("List-Post") != "NO":
            yield "List-Post is not NO"


def without_folds(value: str) -> str:
    """An address that was folded inside is the business of another check."""
    return re.sub(r"(<[^<>]*?)[ \t]+(?=[^<>]*>)", r"\1", value)


def one_click(mail: Mail) -> Iterator[str]:
    if mail.kind is not Kind.DIGEST:
        return
    value = mail.header("List-Unsubscribe")
    if "=?" not in value and not re.fullmatch(r"<https?://[^<>\s]+>, ?<mailto:[^<>\s]+>", without_folds(value)):
        yield "List-Unsubscribe is not one web address, then one mail address"
    if mail.header("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        yield "List-Unsubscribe-Post is not List-Unsubscribe=One-Click"
    if mail.to and mail.to.lower() in value.lower():
        yield "List-Unsubscribe holds the reader's address"


def secure_one_click(mail: Mail) -> Iterator[str]:
    url = mail.leave_url
    if mail.kind is Kind.DIGEST and url.startswith("http://") and not LOOPBACK.match(url):
        yield "List-Unsubscribe is not an https address: mail providers will not offer it"


def feedback_id(mail: Mail) -> Iterator[str]:
    if mail.kind is not Kind.DIGEST:
        return
    value = mail.header("Feedback-ID")
    if "=?" not in value and not re.fullmatch(r"([^\s:]*:){3}[A-Za-z0-9_-]{5,15}", value):
        yield "Feedback-ID is not campaign:list:kind:sender, the sender of 5 to 15 characters"
    elif mail.to and mail.to.lower() in value.lower():
        yield "Feedback-ID names the reader"


def no_list_headers(mail: Mail) -> Iterator[str]:
    if mail.kind is Kind.ACCOUNT:
        of_lists = (*LIST, "feedback-id")
        yield from (f"a letter to one person has {each.name}" for each in mail.headers if each.name in of_lists)


def confirmation_links(mail: Mail) -> Iterator[str]:
    """A letter that asks to confirm has one link to do it and one to say that it was not me."""
    confirm = set(re.findall(r"https?://\S+/confirm/\S+", mail.plain))
    if mail.kind is Kind.ACCOUNT and confirm:
        if len(confirm) > 1:
            yield f"there are {len(confirm)} links to confirm"
        in_html = any("/not-me/" in url for url in mail.page.addresses) or not mail.page.is_read
        if "/not-me/" not in mail.plain or not in_html:
            yield "there is no link to say that it was not me"
