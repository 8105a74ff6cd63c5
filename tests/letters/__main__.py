"""`python -m tests.letters`: write the letters that tests compare with anew; the difference is to be looked at."""

from ..screenshots import installation
from . import FOLDER, looked_at

if __name__ == "__main__":
    with installation() as here:
        for name, words in looked_at(here).items():
            (FOLDER / name).write_text(words, encoding="utf-8")
