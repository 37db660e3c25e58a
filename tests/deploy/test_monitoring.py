"""What dashboards and rules ask for is what the service and Ray export."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest

from deployments.http.metrics import Metrics
from tests.deploy.manifests import MANIFESTS, load

RULES = load(MANIFESTS / "monitoring" / "rules.yaml")
DASHBOARD = json.loads((MANIFESTS / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
RULE_FIELDS = {"record", "alert", "expr", "for", "labels", "annotations"}
EXPRESSIONS = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]
NAME = re.compile(r"\b((?:neural_memory|ray)_[a-z0-9_]+)")


def exported() -> set[str]:
    metrics = Metrics()
    metrics.count("POST", "/v1/memories/{name}/infer", 200, 0.01)
    return set(re.findall(r"^([a-z_]+)(?:\{| )", metrics.exposition().decode(), re.MULTILINE))


def exported_by_ray() -> str:
    folder = files("ray") / "dashboard" / "modules" / "metrics" / "dashboards"
    return "".join(one.read_text(encoding="utf-8") for one in folder.iterdir() if one.name.endswith(".py"))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_figure_that_is_asked_for_exists(expression: str) -> None:
    own, ray = exported(), exported_by_ray()
    names = NAME.findall(re.sub(r"\bneural_memory:[a-z0-9_:]+", "", expression))
    recorded = re.findall(r"\bneural_memory:[a-z0-9_:]+", expression)
    assert names or recorded
    assert [name for name in names if name not in own and name not in ray] == []
    assert set(recorded) <= {rule.get("record") for group in RULES["groups"] for rule in group["rules"]}


def test_rules_have_only_fields_that_prometheus_knows() -> None:
    for rule in (rule for group in RULES["groups"] for rule in group["rules"]):
        assert set(rule) <= RULE_FIELDS
        assert ("record" in rule) != ("alert" in rule)


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len(set(ids)) == len(ids)
