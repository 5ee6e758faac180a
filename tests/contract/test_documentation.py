"""What the README promises an operator, held against the code."""

import json
import re
from pathlib import Path

import pytest

from app.api.routes.v1 import ROUTES
from app.domain.errors import Overloaded
from app.domain.stages import Stage
from app.settings import PREFIX, Settings
from app.telemetry.catalogue import METRICS, Kind

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
WATCHING = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default_and_meaning(name):
    field = Settings.model_fields[name]
    default = "" if field.default is None or field.default == () else f"`{field.default}`"

    row = f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |"

    assert row in SETTINGS or row in README


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in ROUTES])
def test_every_route_is_in_the_readme(method, path):
    assert f"`{method} {path}" in README


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_documented_with_its_labels_and_meaning(metric):
    labels = ", ".join(f"`{label}`" for label in metric.labels)

    row = f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.meaning} |"

    assert row in WATCHING


def test_the_documents_name_no_metric_that_does_not_exist():
    named = {
        name
        for page in (ROOT / "docs").glob("*.md")
        for name in re.findall(r"facereco_[a-z_]+", page.read_text(encoding="utf-8"))
    }

    assert named <= {metric.name for metric in METRICS}


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_is_documented(stage):
    stages = WATCHING.split("| stage |")[1].split("\n\n")[0]

    assert f"`{stage.value}`" in stages


@pytest.mark.parametrize("reason", [kind.__name__ for kind in Overloaded.__subclasses__()])
def test_every_way_of_being_full_is_documented(reason):
    assert f"| `{reason}` |" in WATCHING


DASHBOARD = json.loads((ROOT / "docs" / "grafana-dashboard.json").read_text(encoding="utf-8"))


def asked():
    """Every metric that a panel or a variable of the dashboard asks for."""
    targets = [target for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    variables = [str(variable["query"]) for variable in DASHBOARD["templating"]["list"]]
    queries = "\n".join([*(target["expr"] for target in targets), *variables])
    histograms = {metric.name for metric in METRICS if metric.kind is Kind.HISTOGRAM}
    parts = {f"{name}_{part}": name for name in histograms for part in ("bucket", "sum", "count")}
    return {parts.get(name, name) for name in re.findall(r"facereco_[a-z_]+", queries)}


def test_the_dashboard_shows_every_metric_and_none_that_does_not_exist():
    assert asked() == {metric.name for metric in METRICS}


def test_the_dashboard_can_be_imported_anywhere():
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert "id" not in DASHBOARD  # Grafana gives it one
