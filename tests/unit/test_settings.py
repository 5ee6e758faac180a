"""What an operator writes into the environment is what the server runs with."""

import pytest

from app.domain.errors import ConfigurationError
from app.settings import PREFIX, Settings


@pytest.mark.parametrize("scale", [1, 100])
def test_the_scale_of_confidence_can_be_set(monkeypatch, scale):
    monkeypatch.setenv(f"{PREFIX}CONFIDENCE_SCALE", str(scale))

    assert Settings.read().confidence_scale == scale


@pytest.mark.parametrize("scale", ["10", "1.0", "all", "", "-1"])
def test_and_to_nothing_else(monkeypatch, scale):
    monkeypatch.setenv(f"{PREFIX}CONFIDENCE_SCALE", scale)

    with pytest.raises(ConfigurationError, match="CONFIDENCE_SCALE"):
        Settings.read()


DEFAULTS = {
    name: field.default
    for name, field in Settings.model_fields.items()
    if field.default not in (None, ())
}


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_every_default_can_also_be_written_out(monkeypatch, name, default):
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", str(default))

    assert getattr(Settings.read(), name) == default
