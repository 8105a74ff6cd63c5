"""Every check by the name of its requirement: what it finds and what to do. docs/checks.md shows this table."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from mailer.letters.lint import bodies, headers, lists, octets
from mailer.letters.lint.mail import Mail

OURS = "The program made it: report it, with the file that `digest preview --eml` writes"
SENDER = "Correct `MAIL_DEFAULT_SENDER`"


class Check(NamedTuple):
    rule: str
    about: str
    remedy: str
    inspections: tuple[Callable[[Mail], Iterator[str]], ...]
    is_advice: bool = False


CHECKS = (
    Check("D-1", "Line ends other than CRLF, a NUL, a lone dot", OURS, (octets.line_ends,)),
    Check("D-2", "Lines that are too long", OURS, (octets.line_lengths,)),
    Check("D-3", "Bytes above 127", OURS, (octets.seven_bit,)),
    Check("D-4", "Headers that are missing, that stand twice, or a Bcc", OURS, (headers.header_counts,)),
    Check("D-5", "More than one recipient", OURS, (headers.one_recipient,)),
    Check("D-6", "A sender that is none of yours, or several", SENDER, (headers.one_sender,)),
    Check("D-8", "A date that is not in UTC", OURS, (headers.date,)),
    Check("D-9", "A Message-ID of another domain than the sender's", OURS, (headers.message_id,)),
    Check("D-10", "Other parts than a text and, last, HTML", OURS, (bodies.structure,)),
    Check(
        "D-11",
        "A text part that lacks links, headings or words that the HTML has, or that holds HTML",
        "Make both parts say the same",
        (bodies.text_has_all_links, bodies.text_is_complete, bodies.text_is_plain),
    ),
    Check("D-12", "Encoded words that readers can't read", OURS, (headers.encoded_words,)),
    Check("D-13", "Addresses in headers that are encoded, or folded inside", OURS, (headers.structured_headers,)),
    Check("D-14", "Control characters in headers", OURS, (headers.control_characters,)),
    Check("D-16", "Domains that are not written by IDNA 2008", OURS, (headers.domains,)),
    Check("D-18", "A recipient's address in a form that sign-ups refuse", OURS, (headers.address_form,)),
    Check(
        "D-19",
        "A language or direction that is not said, or said differently",
        OURS,
        (headers.content_language, bodies.html_language),
    ),
    Check("D-20", "Words in another language without their direction", OURS, (bodies.own_direction,)),
    Check("D-21", "A List-Id that is no name of the list in the sender's domain", SENDER, (lists.list_id,)),
    Check("D-22", "List headers that are missing or no addresses", OURS, (lists.list_headers,)),
    Check("D-23", "No one-click link to leave by in the header (RFC 8058)", OURS, (lists.one_click,)),
    Check(
        "D-23",
        "A one-click link that is not https",
        "Put a proxy that speaks TLS before the site and set `BASE_URL`",
        (lists.secure_one_click,),
        is_advice=True,
    ),
    Check("D-31", "No visible link to leave the list or to change one's settings", OURS, (bodies.visible_links,)),
    Check("D-32", "An account letter that asks for automatic answers", OURS, (headers.no_answers,)),
    Check("D-33", "A digest that asks for automatic answers", OURS, (headers.bulk,)),
    Check("D-34", "A Feedback-ID of another form, or with a reader in it", OURS, (lists.feedback_id,)),
    Check("D-35", "Headers that tell of the machine", OURS, (headers.known_headers,)),
    Check(
        "D-36",
        "HTML of more than 100 kB, a mail of more than 500 kB, images inside the mail",
        "Shorten it, or split it in two; put images on the web",
        (octets.message_size, bodies.html_size, bodies.no_inline_images),
    ),
    Check("D-37", "Lines that begin with a dot", OURS, (octets.leading_dots,)),
    Check(
        "D-38",
        "Images that nobody sees, readers' addresses in links, styles that load something",
        "Remove them: nobody is watched here",
        (bodies.no_tracking, bodies.nothing_loaded),
    ),
    Check("D-39", "A CFBL-Address that is none", OURS, (headers.complaint_address,), is_advice=True),
    Check(
        "D-40",
        "An account letter with headers of a list, or a confirmation without its links",
        OURS,
        (lists.no_list_headers, lists.confirmation_links),
    ),
    Check(
        "D-189",
        "HTML that mail programs break, images without alternative text or not at an https address",
        "Correct the image in the announcement; report anything else",
        (bodies.skeleton, bodies.no_foreign_elements, bodies.images),
    ),
)
