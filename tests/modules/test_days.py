"""Days as pages write them, in six languages; what can't be told is not guessed."""

import datetime as dt

import pytest

from mailer.digests.days import find

LANGUAGES = ("en", "fr", "es", "ru", "ar", "zh")
THE_DAY = (
    *("22 September 2023", "September 22, 2023", "Sept. 22, 2023", "22 Sep 2023", "22nd of September, 2023"),
    *("22 septembre 2023", "le 22 sept. 2023", "22 de septiembre de 2023", "22 de septiembre del 2023"),
    *("22 сентября 2023 г.", "22 سبتمبر 2023", "٢٢ سبتمبر ٢٠٢٣", "22 أيلول/سبتمبر 2023", "22 أيلول 2023"),
    *(
        "2023年9月22日",
        "2023 年 9 月 22 日",
        "2023-09-22",
        "2023/09/22",
        "2023-09-22T23:59:00Z",
        "22.09.2023",
        "22/9/2023",
    ),
    *("09/22/2023", "Published on Friday, September 22, 2023 at 10:30", "GENEVA, 22 SEPTEMBER 2023, PR/2023/909"),
)
NONE = (
    *("", "September 2023", "22 September", "20-21 September 2023", "20 – 21 September 2023", "September 20-21, 2023"),
    *("3/4/2023", "31 February 2023", "22 Mayhem 2023", "Mayor 22, 2023", "10:22 September 2023", "122 September 2023"),
    *("22 September 20231", "12023-09-22", "22 September 1823", "٣/٤/٢٠٢٣", "2023-13-22"),
)


@pytest.mark.parametrize("text", THE_DAY)
def test_a_day_is_read(text: str) -> None:
    assert find(text, LANGUAGES) == dt.date(2023, 9, 22)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_day_or_not_one_is_not_read(text: str) -> None:
    assert find(text, LANGUAGES) is None


def test_a_first_of_the_month_and_a_month_of_three_letters() -> None:
    assert find("1er octobre 2023", LANGUAGES) == dt.date(2023, 10, 1)
    assert find("5 мая 2023", LANGUAGES) == find("5 mai 2023", LANGUAGES) == find("May 5, 2023", LANGUAGES)
