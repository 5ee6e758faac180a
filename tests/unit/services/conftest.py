"""A fresh set of rooms with one empty group."""

import pytest

from tests.unit.services.rooms import Rooms


@pytest.fixture
async def rooms():
    rooms = Rooms()
    await rooms.group()
    return rooms
