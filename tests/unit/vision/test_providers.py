"""Providers are those that were wanted, or there is no start."""

import pytest

from app.domain.errors import ConfigurationError
from app.vision.providers import CPU, Providers

CUDA = "CUDAExecutionProvider"


class Session:
    def __init__(self, *got):
        self.got = list(got)

    def get_providers(self):
        return self.got


def test_they_are_asked_for_in_the_order_wanted():
    asked = Providers(("cuda", "cpu")).to_ask_for([CPU, CUDA])

    assert [name for name, _ in asked] == [CUDA, CPU]


def test_one_that_is_not_installed_is_told_with_its_extra():
    with pytest.raises(ConfigurationError, match=r"openvino .* extra openvino \(installed: cpu\)"):
        Providers(("openvino",)).to_ask_for([CPU])


def test_one_that_nobody_knows_is_told_with_those_that_are_known():
    with pytest.raises(ConfigurationError, match="no provider is named 'npu'"):
        Providers(("npu",)).to_ask_for([CPU])


def test_a_session_that_fell_back_in_silence_is_refused():
    with pytest.raises(ConfigurationError, match="device or its libraries"):
        Providers(("cuda", "cpu")).check(Session(CPU))


def test_a_session_that_has_what_was_wanted_is_fine():
    Providers(("cuda",)).check(Session(CUDA, CPU))


def test_networks_are_written_for_the_processor_only_where_it_runs_them_alone():
    assert Providers().on_cpu
    assert not Providers(("openvino", "cpu")).on_cpu
