"""What the README promises an operator, held against the code."""

import re
from pathlib import Path

import pytest

from app.api.routes.v1 import ROUTES
from app.settings import PREFIX, Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_readme_with_its_default_and_meaning(name):
    field = Settings.model_fields[name]
    default = "" if field.default is None or field.default == () else f"`{field.default}`"

    row = f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |"

    assert row in README


def test_the_readme_names_no_setting_that_does_not_exist():
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", README))

    assert named == {PREFIX + name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in ROUTES])
def test_every_route_is_in_the_readme(method, path):
    assert f"`{method} {path}" in README
