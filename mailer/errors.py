"""Everything that can go wrong in a way we can explain. Anything else is a bug and may crash loudly.

    MailerError                 exit code 1
    ├── ConfigError             a setting is missing, unknown or malformed
    ├── BadInput                somebody gave us something we can't use
    │   ├── BadAddress
    │   └── BadAnnouncement     names file and line
    ├── NotFound                no such digest, announcement, subscriber, link
    ├── NotAllowed              the thing exists, but its state forbids what was asked
    ├── Busy                    another process is at it (exit code 3)
    ├── TooMany                 over a limit: later, or with a proof of work
    │   └── ProofWanted
    ├── MailServerError         the mail server is down, refuses us or can't be trusted
    ├── Overloaded              so many ask that this one could not be answered in time
    ├── Interrupted             a signal stopped a run; what was left stays queued
    └── DatabaseError           locked, full, unreachable or not migrated

`app.py` turns these into a page, `cli/` into one line on stderr and the exit code.
A message says what is wrong and what to do about it, in one line.
"""


class MailerError(Exception):
    exit_code = 1
    status = 500


class ConfigError(MailerError):
    pass


class BadInput(MailerError):
    status = 400


class BadAddress(BadInput):
    pass


class BadAnnouncement(BadInput):
    pass


class NotFound(MailerError):
    status = 404


class NotAllowed(MailerError):
    status = 409


class Busy(MailerError):
    exit_code = 3
    status = 409


class TooMany(MailerError):
    """`seconds`: after which it may be tried again."""

    status = 429

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class ProofWanted(TooMany):
    """Not without a proof of work that belongs to `key`, which names what is asked for."""

    def __init__(self, message: str, seconds: int, key: str) -> None:
        super().__init__(message, seconds)
        self.key = key


class Overloaded(MailerError):
    status = 503


class MailServerError(MailerError):
    status = 503


class Interrupted(MailerError):
    pass


class DatabaseError(MailerError):
    status = 503
