import os
import sys

import pytest

from app.cli.testing import bring_browser


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A PATH with nothing on it but an apt-get that notes what it was asked, used by root."""
    asked = tmp_path / "asked"
    program(tmp_path, "apt-get", f"open({str(asked)!r}, 'w').write(' '.join(sys.argv[1:]))")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def program(folder, name, line):
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport sys\n{line}\n", encoding="utf-8")
    path.chmod(0o755)


def test_chromium_is_installed_where_it_is_missing(machine):
    bring_browser()

    assert (machine / "asked").read_text().endswith("install --no-install-recommends chromium")


@pytest.mark.parametrize("name", ["chromium", "google-chrome"])
def test_a_browser_that_is_there_is_left_alone(machine, name):
    program(machine, name, "")

    bring_browser()

    assert not (machine / "asked").exists()


def test_nobody_but_root_is_asked_to_install_anything(machine, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    bring_browser()

    assert not (machine / "asked").exists()


def test_a_machine_without_apt_goes_on_without_a_browser(machine):
    (machine / "apt-get").unlink()

    bring_browser()
