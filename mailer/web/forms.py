"""The forms. To sign up, only the address is needed; what is sent beside it must still make sense."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from functools import cache, cached_property
from typing import Any

from flask_babel import get_locale, gettext, lazy_gettext
from werkzeug.datastructures import MultiDict
from wtforms import EmailField, Field, Form, HiddenField, SelectMultipleField, StringField, ValidationError
from wtforms.i18n import get_translations

from mailer import addresses, topics
from mailer.addresses import Address
from mailer.config import settings
from mailer.db import now
from mailer.delivery import relay
from mailer.errors import BadAddress
from mailer.languages import SOURCE, offered
from mailer.lists import the_list
from mailer.localtime import local, zone
from mailer.models import LONGEST_PAUSE, Subscription, Topic
from mailer.parsing import is_word
from mailer.states import Frequency, LeavingReason
from mailer.subscriptions import domains, managing, screening
from mailer.subscriptions.asking import SignUp
from mailer.topics import Name
from mailer.web import visitors

FREQUENCIES = {
    Frequency.IMMEDIATE: lazy_gettext("As soon as there is news"),
    Frequency.WEEKLY: lazy_gettext("Every week"),
    Frequency.MONTHLY: lazy_gettext("Every month"),
}
REASONS = {
    LeavingReason.TOO_OFTEN: lazy_gettext("The mails came too often"),
    LeavingReason.NOT_RELEVANT: lazy_gettext("They were not relevant to me"),
    LeavingReason.NEVER_SIGNED_UP: lazy_gettext("I never signed up"),
    LeavingReason.OTHER: lazy_gettext("Another reason"),
}
MOST_TOPICS = 50


class PageForm(Form):
    """A form of a page: what WTForms itself says about a field is in the reader's language too, if it knows it."""

    class Meta:
        def get_translations(self, _form: Form) -> Any:
            return words_of_forms(str(get_locale()))


@cache
def words_of_forms(code: str) -> Any:
    """Looked for once in each language: it takes a dozen looks at the disk."""
    return get_translations([code, SOURCE])


class AddressForm(PageForm):
    """Only an address."""

    email = EmailField(lazy_gettext("Your e-mail address"))

    address: Address

    def validate_email(self, field: Field) -> None:
        if not (field.data or "").strip():
            raise ValidationError(gettext("Enter your e-mail address."))
        try:
            self.address = addresses.parse(field.data, international=True)
            screening.refuse_ours(self.address)
            domains.check(self.address)
        except domains.NoMail:
            raise ValidationError(
                gettext("No mail can be sent to %(domain)s. Check the part after the @.", domain=self.address.domain)
            ) from None
        except BadAddress:
            raise ValidationError(
                gettext("This is not an address that mail can be sent to. It should look like name@example.org.")
            ) from None
        if self.address.is_international and not relay.takes_international():
            raise ValidationError(
                gettext(
                    "Addresses with letters beyond a to z before the @ cannot be reached from here yet. "
                    "Use another address, please."
                )
            )


class ChoicesForm(PageForm):
    """What a subscriber can choose."""

    language = StringField(lazy_gettext("Language of the mails"))
    frequency = StringField(lazy_gettext("How often"))
    topics = SelectMultipleField(lazy_gettext("Topics"), choices=[], validate_choice=False)

    frequencies = FREQUENCIES

    def validate_language(self, field: Field) -> None:
        field.data = field.data or str(get_locale())
        if field.data not in offered(settings().languages):
            raise ValidationError(gettext("Choose one of the languages in the list."))

    def validate_frequency(self, field: Field) -> None:
        field.data = field.data or Frequency.WEEKLY.value
        if field.data not in list(Frequency):
            raise ValidationError(gettext("Choose how often you want mail."))

    def validate_topics(self, field: Field) -> None:
        """A word that is no topic, or no longer one, is left out: a page may have been open while they changed."""
        names = [name for name in field.data or [] if name]
        if len(names) > MOST_TOPICS or not all(is_word(name) for name in names):
            raise ValidationError(gettext("Choose topics from the list."))
        field.data = [name for name in names if name in self.topic_names]

    @cached_property
    def topic_names(self) -> dict[str, Name]:
        """{key: name in the language in force} of the topics that can be chosen."""
        return named(topics.offered(the_list().id))


def named(found: Iterable[Topic]) -> dict[str, Name]:
    return {topic.key: topics.name(topic, str(get_locale())) for topic in found}


class SignUpForm(AddressForm, ChoicesForm):
    sure = HiddenField()  # the address that was asked about

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        super().__init__(
            MultiDict(given) if given else None, language=str(get_locale()), frequency=Frequency.WEEKLY.value
        )

    def is_sure(self) -> bool:
        """Whether the address of a valid form is meant as it is: one that looks mistyped is asked about once.

        Only our own form can ask; who sends the same again has answered.
        """
        if visitors.age() is visitors.Age.UNKNOWN or self.sure.data == self.address.email:
            return True
        meant = screening.suggest(self.address)
        if meant is None:
            return True
        self.sure.data = self.address.email
        self.email.errors = [gettext("Did you mean %(address)s? If not, choose Subscribe again.", address=meant)]
        return False

    def is_current(self) -> bool:
        """Whether the form was opened lately; one that was not is offered again as it was filled in."""
        if visitors.age() is not visitors.Age.STALE:
            return True
        self.email.errors = [gettext("This page was open for more than a day. Check what you wrote and send it again.")]
        return False

    def sign_up(self) -> SignUp:
        """What a valid form asks for."""
        language, frequency = str(self.language.data), Frequency(str(self.frequency.data))
        return SignUp(self.address, language, frequency, self.topics.data or ())

    def first_error(self) -> str:
        return next(str(field.errors[0]) for field in self if field.errors)


class ManageForm(ChoicesForm):
    """Changes of a subscription: only what was sent is looked at, and what was not sent stays."""

    paused_until = StringField(lazy_gettext("First day on which you want mail again"))

    def __init__(self, subscription: Subscription, given: Mapping[str, Any] | None = None) -> None:
        super().__init__(
            MultiDict(given) if given else None,
            language=subscription.subscriber.language,
            frequency=subscription.frequency.value,
            topics=subscription.topics,
            paused_until=as_day(subscription.paused_until),
        )
        self.topic_names = named(managing.offered_topics(subscription))
        self.sent = set(given or ()) & set(self._fields)
        for name in set(self._fields) - self.sent if given else ():
            del self[name]

    def validate_paused_until(self, field: Field) -> None:
        try:
            until = first_moment(field.data) if field.data else None
        except ValueError:
            raise ValidationError(gettext("Enter a date.")) from None
        if until and not now() < until <= now() + LONGEST_PAUSE:
            raise ValidationError(gettext("Enter a day after today, within a year."))
        self.pause = managing.Pause(until)

    def changes(self) -> managing.Changes:
        """What a valid form asks for."""
        given = {name: self[name].data for name in self.sent}
        return managing.Changes(
            language=given.get("language"),
            frequency=Frequency(given["frequency"]) if "frequency" in given else None,
            topics=given.get("topics"),
            pause=self.pause if "paused_until" in given else None,
        )


def first_moment(day: str) -> datetime:
    """The beginning of a day like 2026-01-31 in the list's time zone. Raises ValueError."""
    return datetime.combine(date.fromisoformat(day.strip()), time(), zone())


def as_day(moment: datetime | None) -> str:
    """What a date field shows."""
    return local(moment).date().isoformat() if moment else ""


class WhyForm(PageForm):
    """Why somebody left, if they care to say."""

    reason = StringField(lazy_gettext("Why did you leave?"))

    reasons = REASONS

    def validate_reason(self, field: Field) -> None:
        if field.data not in list(LeavingReason):
            raise ValidationError(gettext("Choose a reason, or leave it at that."))
