"""The wheel holds all it needs and works from any folder; the README says what is so."""

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from mailer.cli import COMMANDS
from mailer.config import SETTINGS
from mailer.digests import checks, preflight
from mailer.letters import lint

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_templates_migrations_translations_and_static_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "mailer/templates/letters/digest/body.html",
        "mailer/templates/pages/form.html",
        "mailer/migrations/env.py",
        "mailer/migrations/versions/0001_the_first_tables.py",
        "mailer/translations/fr/LC_MESSAGES/messages.po",
        "mailer/web/static/style.css",
        "mailer/samples/conversation-8.md",
    ):
        assert wanted in names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_wheel_works_in_an_empty_environment_from_any_folder(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    binaries = tmp_path / "venv" / "bin"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        binaries / "python",
        "install",
        "--quiet",
        "--no-compile",
        wheel,
    ]
    subprocess.run(install, check=True, capture_output=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    story = subprocess.run(
        [binaries / "mailer", "demo", "--once"], cwd=elsewhere, capture_output=True, text=True, check=False
    )
    assert story.returncode == 0, story.stdout + story.stderr
    assert "each that ought to, and nothing else" in story.stdout
    assert list(elsewhere.iterdir()) == []


def row(name: str) -> str:
    default = SETTINGS[name].default
    default = ",".join(default) if isinstance(default, tuple) else default
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    return f"| `{name}` | {f'`{shown}`' if shown else ''} | {SETTINGS[name].metadata['about']} |"


def test_the_readme_lists_every_setting_as_it_is_defined() -> None:
    rows = re.findall(r"^\| `[A-Z_]+` \|.*", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [row(name) for name in SETTINGS]


def check_row(name: str, about: str, remedy: str, *, is_error: bool) -> str:
    return f"| `{name}` | {'error' if is_error else 'warning'} | {about} | {remedy} |"


def test_the_document_of_checks_has_every_check_as_it_is_defined() -> None:
    rows = re.findall(r"^\| `[A-Za-z0-9-]+` \|.*", (ROOT / "docs" / "checks.md").read_text("utf-8"), re.MULTILINE)
    assert rows == [
        *(check_row(each.rule, each.about, each.remedy, is_error=not each.is_advice) for each in lint.CHECKS),
        *(check_row(each.name, each.about, each.remedy, is_error=each.is_error) for each in checks.CHECKS),
        check_row(*preflight.DEAD, is_error=True),
        check_row(*preflight.DOUBTFUL, is_error=False),
        check_row(*preflight.MOVED, is_error=False),
    ]


def test_the_readme_names_only_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    used = set(re.findall(r"^\s*(?:\$ )?mailer ([a-z-]+)", readme, re.MULTILINE))
    assert used
    assert used <= set(COMMANDS)


def test_the_pictures_that_pages_show_are_there_and_small() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {
        (document.parent / name).resolve()
        for document in documents
        for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", document.read_text(encoding="utf-8"))
    }
    assert named == {path.resolve() for path in (ROOT / "docs" / "images").iterdir()}
    assert sum(path.stat().st_size for path in named) < 400_000


def test_the_version_is_told_at_once() -> None:
    told = subprocess.run([sys.executable, "-m", "mailer", "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"mailer \d+\.\d+\.\d+\n", told.stdout)
    loaded = "import sys, mailer.cli; sys.exit('flask' in sys.modules or 'sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0


def test_no_test_module_lacks_a_package_marker() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
