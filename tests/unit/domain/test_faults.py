import signal
import subprocess
import sys

import pytest

from app.domain.errors import ConfigurationError, StoreUnavailable
from app.domain.faults import FaultPoint, Faults, reached
from app.settings import Settings

KILLED_AT_THE_SECOND = """
from app.domain.faults import FaultPoint, Faults, reached
Faults.parse("register.after-commit=kill@2").listen()
reached(FaultPoint.REGISTER_BEFORE_COMMIT)
reached(FaultPoint.REGISTER_AFTER_COMMIT)
print("once", flush=True)
reached(FaultPoint.REGISTER_AFTER_COMMIT)
print("twice", flush=True)
"""


def test_a_place_nobody_watches_does_nothing():
    reached(FaultPoint.REGISTER_AFTER_COMMIT)


def test_a_process_that_listens_dies_at_its_place_and_no_earlier():
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_THE_SECOND], capture_output=True, text=True, check=False
    )

    assert done.returncode == -signal.SIGKILL
    assert done.stdout == "once\n"


def test_a_place_fails_the_time_it_was_told_to():
    faults = Faults.parse("register.before-commit=fail@2, index.loading=delay:0.001")
    outcomes = []

    for _ in range(3):
        try:
            faults.at("register.before-commit")
        except StoreUnavailable:
            outcomes.append("failed")
        else:
            outcomes.append("passed")

    assert outcomes == ["passed", "failed", "passed"]


def test_without_a_number_a_place_fails_every_time():
    faults = Faults.parse("register.before-commit=fail")

    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            faults.at("register.before-commit")


@pytest.mark.parametrize(
    "text", ["", "nowhere=kill", "index.loading=explode", "index.loading=kill@x", "index.loading"]
)
def test_a_place_or_an_act_that_does_not_exist_is_refused(text):
    with pytest.raises(ConfigurationError, match="FACERECO_TEST_FAULTS"):
        Faults.parse(text)


def test_faults_are_refused_unless_the_server_was_started_for_tests(monkeypatch):
    monkeypatch.setenv("FACERECO_TEST_FAULTS", "index.loading=kill")

    with pytest.raises(ConfigurationError, match="FACERECO_TEST_FAULTS"):
        Settings.read()

    monkeypatch.setenv("FACERECO_TEST", "1")
    assert Settings.read().test_faults == "index.loading=kill"
