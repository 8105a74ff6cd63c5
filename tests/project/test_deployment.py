"""The units and containers start commands that there are, with settings that there are, from files that there are."""

import re
import shlex
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import scale
from mailer.cli import COMMANDS
from mailer.config import SETTINGS

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "docs" / "systemd").glob("*.service"))
STAGES = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return found


def check_command(words: list[str]) -> None:
    program = Path(words[0]).name
    if program == "mailer":
        assert words[1] in COMMANDS
    elif program == "celery":
        assert words[1:3] == ["-A", "mailer.tasks"]
        assert words[3] in ("worker", "beat")
        assert find_spec("mailer.tasks")
    else:
        assert program == "gunicorn"
        assert words[-1] == "mailer.app:create_app()"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_what_there_is(path: Path) -> None:
    unit = ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(re.sub(r"(?m)^#.*$", "", path.read_text(encoding="utf-8")))
    service = unit["Service"]
    check_command(shlex.split(service["ExecStart"]))
    folder = service["WorkingDirectory"]
    assert folder in service["ReadWritePaths"]
    assert service["ExecStart"].startswith(folder)


def test_there_are_units() -> None:
    assert [path.name for path in UNITS] == [
        "mailer-beat.service",
        "mailer-intake.service",
        "mailer-web.service",
        "mailer-work.service",
        "mailer-worker.service",
    ]


def test_containers_start_what_there_is() -> None:
    services = compose()["services"]
    assert set(services) == {"postgres", "rabbitmq", "init", "web", "worker", "beat", "intake"}
    for name in ("init", "worker", "beat", "intake"):
        check_command(services[name]["command"])
    command = re.search(r"^CMD (\[.*\])$", STAGES, re.MULTILINE)
    assert command
    check_command(yaml.safe_load(command[1]))


def test_containers_set_what_there_is_to_set() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\bMAILER_([A-Z_]+)", text)) <= set(SETTINGS)


def test_a_container_depends_on_containers_that_there_are() -> None:
    services, volumes = compose()["services"], compose()["volumes"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(volumes)


def test_the_image_is_made_of_files_that_there_are_and_may_be_copied() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied = [word for line in re.findall(r"^COPY (.*)$", STAGES, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    for each in copied:
        assert (ROOT / each).exists()
        assert each in allowed
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    included = re.search(r'only-include = \["(.*)"\]', project)
    assert included
    assert set(included[1].split('", "')) <= set(copied), "the wheel needs them"


def test_the_table_of_scale_is_what_the_program_prints() -> None:
    assert scale.table() in (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
