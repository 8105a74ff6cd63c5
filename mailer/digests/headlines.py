"""What an inbox shows of a digest before it is opened: the subject, and behind that the preheader. Pure."""

import re
from collections.abc import Sequence

LONGEST_SUBJECT = 60  # characters; what inboxes show of it
SHORTEST_LEAD = 28  # of these the first announcement keeps as many, even if the list's name must go for it
SHORTEST_PREHEADER, LONGEST_PREHEADER = 40, 110
ADDRESS = re.compile(r"(?:https?://|www\.)\S+\s*", re.IGNORECASE)


def subject(lead: str, *endings: str) -> str:
    """The first announcement's title and the first ending that leaves room for it: what the list is called and the
    day, else the day, else nothing."""
    for ending in endings:
        room = LONGEST_SUBJECT - len(f" · {ending}")
        if room >= min(len(lead), SHORTEST_LEAD):
            return f"{shortened(lead, room)} · {ending}"
    return shortened(lead, LONGEST_SUBJECT)


def preheader(parts: Sequence[str]) -> str:
    """The first of these texts, with as many of the next as it takes to be long enough; never an address."""
    words = ""
    for part in dict.fromkeys(ADDRESS.sub("", part).strip() for part in parts):
        if len(words) < SHORTEST_PREHEADER and part:
            words = f"{words} · {part}" if words else part
    return shortened(words, LONGEST_PREHEADER)


def shortened(text: str, room: int) -> str:
    """Cut at a blank, if there is one in the second half."""
    if len(text) <= room:
        return text
    cut = text[: room - 1]
    words = cut.rpartition(" ")[0] if text[room - 1] != " " else cut
    return (words if len(words) > room // 2 else cut).rstrip(" ,;:.،，。–—-·") + "…"
