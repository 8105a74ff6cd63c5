"""What is looked at before a digest goes out: errors are reasons not to send it, warnings are worth a second look.

Most of it is seen in finished copies, as readers would get them.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from mailer.db import now
from mailer.digests import editions, hyperlinks
from mailer.digests.checks import CHECKS, Candidate, Check, links
from mailer.digests.editions import Proof, Rendered
from mailer.digests.hyperlinks import Answer
from mailer.errors import BadInput
from mailer.models import Digest

SHOWN = 3  # reasons in the one line that refuses a digest


@dataclass(frozen=True)
class Finding:
    """`name` is a requirement's (D-36), which docs/checks.md explains, or a word of ours. `language`: None for all."""

    name: str
    language: str | None
    text: str
    remedy: str
    is_error: bool

    def __str__(self) -> str:
        return f"{self.name}{f' ({self.language})' if self.language else ''}: {self.text}"

    def as_json(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if name != "is_error"}


@dataclass(frozen=True)
class Report:
    digest: int
    findings: Sequence[Finding]

    @property
    def errors(self) -> list[Finding]:
        return [each for each in self.findings if each.is_error]

    @property
    def warnings(self) -> list[Finding]:
        return [each for each in self.findings if not each.is_error]

    def as_json(self) -> dict[str, object]:
        return {
            "digest": self.digest,
            "ok": not self.errors,
            "errors": [each.as_json() for each in self.errors],
            "warnings": [each.as_json() for each in self.warnings],
        }


# What asking for every link brings to light, besides.
DEAD = ("link-dead", "Links to pages that are gone", "Correct the link, or leave it out")
DOUBTFUL = ("link-doubtful", "Links to where nothing answers, or with an error", "Try it in a browser")
MOVED = ("link-moved", "Links that lead elsewhere", "Link to where it leads, unless it is meant so")


def check(digest: Digest, *, at: dt.datetime | None = None, online: bool = False) -> Report:
    """All that can be found. `online`: with every link asked for, which takes its time."""
    proofs, too_large = proofs_of(digest)
    candidate = Candidate(digest, proofs, at or digest.scheduled_at or now())
    found = [*too_large, *faults(proofs), *findings(candidate, CHECKS)]
    if online:
        found += asked({url: None for proof in proofs for url in links(proof) if hyperlinks.fault_of(url) is None})
    return Report(digest.id, merged(found, [proof.language for proof in proofs]))


def refuse(digest: Digest, rendered: Iterable[Rendered]) -> None:
    """Raises BadInput with the reasons if the digest must not go out as it was rendered."""
    proofs = [editions.proof_of(digest, each) for each in rendered]
    errors = [each for each in CHECKS if each.is_error]
    found = [*faults(proofs), *findings(Candidate(digest, proofs, now()), errors)]
    refuse_for(Report(digest.id, merged(found, [each.language for each in proofs])))


def refuse_for(report: Report) -> None:
    if report.errors:
        more = len(report.errors) - SHOWN
        reasons = "; ".join([*map(str, report.errors[:SHOWN]), *([f"and {more} more"] if more > 0 else [])])
        raise BadInput(
            f"digest {report.digest} must not go out: {reasons}; 'mailer digest check {report.digest}' says what to do "
            "(--force --reason sends it all the same)"
        )


def proofs_of(digest: Digest) -> tuple[list[Proof], list[Finding]]:
    """In every language; and those that are too large to be made."""
    made, too_large = [], []
    for code in editions.languages():
        try:
            made.append(editions.proof_of(digest, editions.current(digest, code)))
        except BadInput as error:
            too_large.append(Finding("D-36", code, str(error), "Shorten it, or split it in two", is_error=True))
    return made, too_large


def faults(proofs: Sequence[Proof]) -> Iterator[Finding]:
    for proof in proofs:
        for each in proof.faults:
            yield Finding(each.rule, proof.language, each.text, each.remedy, is_error=not each.is_advice)


def findings(candidate: Candidate, checks: Iterable[Check]) -> Iterator[Finding]:
    for each in checks:
        for code, text in each.inspect(candidate):
            yield Finding(each.name, code, text, each.remedy, each.is_error)


def asked(urls: Iterable[str], ask: Callable[[str], Answer] = hyperlinks.ask) -> Iterator[Finding]:
    """What is wrong with these links' answers."""
    web = (url for url in urls if url.startswith(("https://", "http://")))
    for answer in hyperlinks.ask_all(web, ask):
        said = f"{answer.url[:200]}: {answer.status or ''} {answer.words}".replace(":  ", ": ")
        if answer.is_dead:
            yield Finding(DEAD[0], None, said, DEAD[2], is_error=True)
        elif answer.is_doubtful:
            yield Finding(DOUBTFUL[0], None, said, DOUBTFUL[2], is_error=False)
        elif answer.has_moved:
            yield Finding(MOVED[0], None, f"{answer.url[:200]} leads to {answer.place[:200]}", MOVED[2], is_error=False)


def merged(found: Iterable[Finding], languages: Sequence[str]) -> list[Finding]:
    """What was found in every language is said once; and nothing twice."""
    seen: dict[tuple[str, str], dict[str | None, Finding]] = {}
    for each in found:
        seen.setdefault((each.name, each.text), {})[each.language] = each
    said: list[Finding] = []
    for by_language in seen.values():
        first = next(iter(by_language.values()))
        everywhere = len(by_language) > 1 and set(languages) <= by_language.keys()
        said += [replace(first, language=None)] if everywhere else by_language.values()
    return said
