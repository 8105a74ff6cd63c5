"""What the form library says by itself is in the reader's language too."""

import pytest
from flask_babel import force_locale
from werkzeug.datastructures import MultiDict
from wtforms import IntegerField, StringField
from wtforms.validators import InputRequired, Length

from mailer.web.forms import PageForm

ENGLISH = ["This field is required.", "Not a valid integer value.", "Field cannot be longer than 1 character."]


class Sample(PageForm):
    name = StringField(validators=[InputRequired()])
    number = IntegerField()
    letter = StringField(validators=[Length(max=1)])


@pytest.mark.usefixtures("app_context")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("code", ["en", "fr", "es", "ru", "ar", "zh"])
def test_the_messages_of_the_library_are_translated(code: str) -> None:
    with force_locale(code):
        form = Sample(MultiDict({"name": "", "number": "x", "letter": "xyz"}))
        form.validate()
    said = [str(field.errors[0]) for field in form]
    assert all((message == english) == (code == "en") for message, english in zip(said, ENGLISH, strict=True)), said
