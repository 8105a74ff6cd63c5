"""The circuit breaker: a provider that refuses everybody is in trouble, and its words about addresses count for nobody.

In December 2020 Gmail answered "550 5.1.1" for living mailboxes for hours; whoever believed it lost their subscribers.
"""

from collections import Counter, deque
from collections.abc import Sequence

from mailer.delivery.outcomes import Outcome
from mailer.states import DeliveryState

REFUSED = (DeliveryState.BOUNCED, DeliveryState.BLOCKED)
WINDOW = 100  # a provider's letters looked back at
MOST = 20  # identical refusals among them that it may give
SHARE = 0.2  # …if they are no larger a part of the window than this

Verdicts = deque[tuple[int, str]]  # (row, how it was refused, or "" if it was not)


class Breaker:
    """Counts outcomes by provider, which is the address's domain: all that can be known without asking the DNS."""

    def __init__(self) -> None:
        self.providers: dict[str, Verdicts] = {}
        self.open: dict[str, str] = {}  # which refusal is not believed
        self.streak: list[tuple[int, str]] = []  # identical refusals in a row, whoever they were for

    def is_open(self, email: str) -> bool:
        return bool(self.open) and domain(email) in self.open

    def count(self, row: int, email: str, outcome: Outcome) -> Sequence[int]:
        """Note an outcome. When it trips the breaker, or comes behind one that did: the rows of the refusals that were
        no verdicts."""
        provider = domain(email)
        if outcome.state not in REFUSED:
            self.streak.clear()
            if provider in self.providers:
                self.providers[provider].append((row, ""))
            return ()
        said = kind(outcome)
        if not said:  # our own words: we did not even try
            return ()
        if self.open.get(provider) == said:
            return [row]
        self.go_on_streak(row, said)
        last = self.providers.setdefault(provider, deque(maxlen=WINDOW))
        last.append((row, said))
        return self.trip(provider, last)

    def go_on_streak(self, row: int, said: str) -> None:
        if self.streak and self.streak[-1][1] != said:
            self.streak.clear()
        self.streak.append((row, said))

    def trip(self, provider: str, last: Verdicts) -> Sequence[int]:
        ((said, times),) = Counter(said for _, said in last if said).most_common(1)
        if provider in self.open or times < MOST or times <= SHARE * len(last):
            return ()
        self.open[provider] = said
        self.streak.clear()
        return [row for row, words in last if words == said]

    @property
    def is_calm(self) -> bool:
        """Whether nothing was refused that letters which are accepted would have to be counted against."""
        return not (self.providers or self.streak)

    @property
    def refuses_all(self) -> bool:
        """Whether the mail server itself seems to refuse every letter, whoever it is for."""
        return len(self.streak) >= MOST


def domain(email: str) -> str:
    return email.rpartition("@")[2].lower()


def kind(outcome: Outcome) -> str:
    """What makes two refusals the same: the reply's code and enhanced code; nothing for words that are no reply."""
    code, _, words = outcome.reply.partition(" ")
    enhanced = words.partition(" ")[0]
    if not code.isdigit():
        return ""
    return f"{code} {enhanced}" if enhanced[:1].isdigit() else code
