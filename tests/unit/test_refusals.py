"""Whatever of a setting only turns out to be wrong when it is used is told with its name."""

import pytest

from app.domain.errors import ConfigurationError
from app.intake.addresses import AddressRules
from app.settings import PREFIX, Settings
from app.storage.stores import open_storage
from app.vision.packs import MODELS, PackCatalog


def storage(settings):
    with open_storage(settings.data, settings.database, settings.keyset):
        pass


def pack(settings):
    catalog = PackCatalog(MODELS, settings.model_path)
    chosen = catalog.get(settings.model)
    catalog.read(chosen, chosen.detector)


def addresses(settings):
    AddressRules.of(settings.url_ports, map(str, settings.url_allow))


REFUSED = [
    (storage, "data", "/not/mounted/data", "DATA"),
    (storage, "database_url", "kanarienvogel", "DATABASE_URL"),
    (storage, "database_url", "mysql://kanarienvogel@db/faces", "DATABASE_URL"),
    (storage, "database_url", "postgresql://facereco:kanarienvogel/1@db/faces", "DATABASE_URL"),
    (storage, "database_url", "postgresql://x:kanarienvogel@127.0.0.1:1/x", "DATABASE_URL"),
    (storage, "database_url", "postgresql://x@db/x?sslmode=disable", "DATABASE_URL"),
    (pack, "model", "nobody", "MODEL"),
    (pack, "model", "opencv", "MODEL_PATH"),
    (pack, "model_path", "/dev/null/packs", "MODEL_PATH"),
    (addresses, "url_ports", "80,http", "URL_PORTS"),
]


@pytest.mark.parametrize(("use", "setting", "value", "named"), REFUSED)
def test_a_setting_that_cannot_be_used_is_named_in_one_line(use, setting, value, named, tmp_path):
    settings = Settings.read(**{"data": tmp_path / "data", setting: value})

    with pytest.raises(ConfigurationError, match=rf"{PREFIX}{named}\b") as refused:
        use(settings)

    line = str(refused.value)
    assert "\n" not in line
    assert "kanarienvogel" not in line
