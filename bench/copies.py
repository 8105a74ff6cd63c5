"""Before anything is timed: do the copies that are sent carry what makes them comparable?

A dozen of each sender's copies, as smtp-sink dumped them: of one size, each with its own unsubscribe address in the
header and in both bodies. Timed runs dump nothing.
"""

import re
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from .ground import folder_for_nobody
from .processes import Failed, log
from .sinks import smtp_sink

DOZEN = 12
SIZES = range(9700, 9901)  # bytes on the wire
LINK = re.compile(r"https://[^\s<>\"]+/unsubscribe/([\w.~-]+)")
STAMP = re.compile(rb"\A(?:X-[^\n]*\n)+Received:[^\n]*\n(?:[ \t][^\n]*\n)*")  # what smtp-sink puts before a message


def check(sender: str, send: Callable[[int], object]) -> None:
    """Let `send(port)` send a dozen copies. Raises Failed unless each is as it has to be."""
    with folder_for_nobody() as folder:
        with smtp_sink("-d", f"{folder}/copy.") as sink:
            send(sink.port)
            sink.expect(DOZEN)
        copies = list(dumped(folder))
    sizes = [len(copy) for copy in copies]
    if not all(size in SIZES for size in sizes):
        raise Failed(f"{sender}: copies have {min(sizes)} to {max(sizes)} bytes, not {SIZES[0]} to {SIZES[-1]}")
    links = {own_link(sender, message_from_bytes(copy, policy=policy.default)) for copy in copies}
    if not len(copies) == len(links) == DOZEN:
        raise Failed(f"{sender}: {len(copies)} copies carry {len(links)} different unsubscribe links, not {DOZEN}")
    log(f"{sender}: {DOZEN} copies looked at, {min(sizes):,} to {max(sizes):,} bytes, each with links of its own")


def dumped(folder: Path) -> Iterator[bytes]:
    """The messages as they were on the wire. The dump has ends of lines of its own."""
    for file in folder.iterdir():
        yield STAMP.sub(b"", file.read_bytes(), count=1).replace(b"\n", b"\r\n")


def own_link(sender: str, copy: EmailMessage) -> str:
    """The token of the one unsubscribe link that the header, the text and the HTML share."""
    bodies = [copy.get_body((kind,)) for kind in ("plain", "html")]
    texts = [copy["List-Unsubscribe"] or "", *(body.get_content() if body else "" for body in bodies)]
    tokens = [set(LINK.findall(text)) for text in texts]
    if not (len(tokens[0]) == 1 and tokens[0] == tokens[1] == tokens[2]):
        raise Failed(f"{sender}: a copy's header, text and HTML carry these unsubscribe links: {tokens}")
    token: str = tokens[0].pop()
    return token
