"""The sample alert rules and the dashboard ask for what `/metrics` tells."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ..installation import Installation

FOLDER = Path(__file__).parents[2] / "docs" / "monitoring"
TOKEN = "a token that opens the metrics"


def asked_for() -> dict[str, list[str]]:
    """{where: expressions}"""
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    panels = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))["panels"]
    return {rule["alert"]: [rule["expr"]] for rule in rules} | {
        panel["title"]: [target["expr"] for target in panel["targets"]] for panel in panels
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_they_name_metrics_and_labels_that_there_are(here: Installation) -> None:
    here.configure(METRICS_TOKEN=TOKEN)
    here.imported(1)
    here.run("digest", "send", here.draft(), "--yes")
    here.sign_up("ada@example.org")
    here.run("run-due")
    here.site.get("/")
    told = here.site.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    families = {family.name: family for family in text_string_to_metric_families(told)}
    names = {sample.name for family in families.values() for sample in family.samples}
    # Senders are only there while one is at work; their families are told all the same.
    names |= set(families) | {"up"}
    for where, expressions in asked_for().items():
        for name in re.findall(r"\bmailer_\w+|\bup\b", " ".join(expressions)):
            assert name in names, f"{where}: there is no {name}"
