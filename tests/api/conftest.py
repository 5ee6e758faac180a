"""A furnished house, served over HTTP."""

import pytest

from tests.api.scenes import Scene, open_scene


@pytest.fixture
def scene():
    """A fresh server for each test that changes something."""
    with open_scene() as scene:
        yield scene


@pytest.fixture(scope="module")
def lasting():
    """One server for all tests of a module that only ask what is refused."""
    with open_scene() as scene:
        yield scene


__all__ = ["Scene"]
