"""The sign-up form. Only the address is needed; what is sent beside it must still make sense."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from flask_babel import get_locale, gettext, lazy_gettext
from werkzeug.datastructures import MultiDict
from wtforms import EmailField, Field, Form, SelectMultipleField, StringField, ValidationError
from wtforms.i18n import get_translations

from mailer import addresses, topics
from mailer.addresses import Address
from mailer.config import settings
from mailer.errors import BadAddress
from mailer.languages import SOURCE, offered
from mailer.lists import the_list
from mailer.parsing import is_word
from mailer.states import Frequency
from mailer.subscriptions.verbs import SignUp

FREQUENCIES = {
    Frequency.IMMEDIATE: lazy_gettext("As soon as there is news"),
    Frequency.WEEKLY: lazy_gettext("Every week"),
    Frequency.MONTHLY: lazy_gettext("Every month"),
}
MOST_TOPICS = 50


class PageForm(Form):
    """A form of a page: what WTForms itself says about a field is in the reader's language too, if it knows it."""

    class Meta:
        def get_translations(self, _form: Form) -> Any:
            return get_translations([str(get_locale()), SOURCE])


def topic_names() -> dict[str, str]:
    """{key: name in the language in force} of the topics that can be chosen."""
    return {topic.key: topics.name(topic, str(get_locale())) for topic in topics.offered(the_list().id)}


class SignUpForm(PageForm):
    email = EmailField(lazy_gettext("Your e-mail address"))
    language = StringField(lazy_gettext("Language of the mails"))
    frequency = StringField(lazy_gettext("How often"))
    topics = SelectMultipleField(lazy_gettext("Topics"), choices=[], validate_choice=False)

    frequencies = FREQUENCIES

    address: Address

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        super().__init__(
            MultiDict(given) if given else None, language=str(get_locale()), frequency=Frequency.WEEKLY.value
        )

    def validate_email(self, field: Field) -> None:
        if not (field.data or "").strip():
            raise ValidationError(gettext("Enter your e-mail address."))
        try:
            self.address = addresses.parse(field.data)
        except BadAddress:
            raise ValidationError(
                gettext("This is not an address that mail can be sent to. It should look like name@example.org.")
            ) from None

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
        names = field.data or []
        if len(names) > MOST_TOPICS or not all(is_word(name) for name in names):
            raise ValidationError(gettext("Choose topics from the list."))

    @cached_property
    def topic_names(self) -> dict[str, str]:
        return topic_names()

    def sign_up(self) -> SignUp:
        """What a valid form asks for."""
        language, frequency = str(self.language.data), Frequency(str(self.frequency.data))
        offered = self.topic_names
        return SignUp(self.address, language, frequency, [key for key in self.topics.data or () if key in offered])

    def first_error(self) -> str:
        return next(str(field.errors[0]) for field in self if field.errors)
