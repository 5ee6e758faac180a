"""What the README promises an operator, held against the code."""

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.api import codes
from app.api.codes import ResultCode
from app.api.middleware import UNFORESEEN
from app.api.routes.v1 import ROUTES
from app.cli.checkup import CHECKS
from app.domain.errors import InternalError, Overloaded
from app.domain.stages import Stage
from app.settings import PREFIX, Settings
from app.telemetry.catalogue import METRICS, Kind
from tests.unit.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
TROUBLE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
WATCHING = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_its_default_and_meaning(name):
    field = Settings.model_fields[name]
    default = "" if field.default is None or field.default == () else f"`{field.default}`"

    row = f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |"

    assert row in SETTINGS


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


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name):
    group, *rest = name.split()
    rows = [row for row in README.splitlines() if row.startswith(f"| `./facereco {group} ")]

    assert any(all(re.search(rf"[` ]{word}[` ]", row) for word in rest) for row in rows), name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example(name):
    """In its `epilog`; that the command understands it is tried in tests/unit/cli."""
    example = COMMANDS[name].epilog or ""

    assert re.fullmatch(rf"Example: (?:[A-Z_]+=\S+ )?facereco {name}\b.*", example)


def printed():
    """Every code with its token, of every edition."""
    tables = (table for table in vars(codes).values() if isinstance(table, Mapping))
    plain = {code for table in tables for code in table.values() if isinstance(code, ResultCode)}
    return sorted({(code.code, code.message) for code in plain | {codes.PARTIAL_QUOTA}})


@pytest.mark.parametrize(("code", "token"), printed())
def test_every_error_code_is_documented_with_its_token(code, token):
    row = next(row for row in TROUBLE.splitlines() if row.startswith(f"| {code} |"))

    # The first edition has few codes: its tokens are in the rows of the others.
    assert f"`{token}`" in (TROUBLE if code in {-40000, -45000} else row)


INTERNAL_ERRORS: list[type[Exception]] = [
    InternalError,
    *(kind for kind in InternalError.__subclasses__() if kind is not Overloaded),
    *Overloaded.__subclasses__(),
]


@pytest.mark.parametrize("refusal", [*(kind.__name__ for kind in INTERNAL_ERRORS), UNFORESEEN])
def test_every_fault_of_the_server_is_documented(refusal):
    section = TROUBLE.split("| refusal |")[1].split("\n\n")[0]

    assert f"`{refusal}`" in section


@pytest.mark.parametrize("check", ["settings", *CHECKS])
def test_every_check_of_the_doctor_is_documented(check):
    assert f"| `{check}` |" in TROUBLE


def alarms():
    """What is logged at warning and worse, found in the code."""
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name(id="log" | "_log"),
                        attr="warning" | "error" | "critical" | "exception",
                    ),
                    args=[ast.Constant(value=str(event)), *_],
                ):
                    yield event
                case _:
                    pass


@pytest.mark.parametrize("event", sorted(set(alarms())))
def test_every_alarm_in_the_log_is_documented(event):
    assert f"`{event}`" in TROUBLE
