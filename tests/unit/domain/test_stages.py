"""Who listens hears how long each part took, wherever it ran, and nobody else does."""

import threading
from contextvars import copy_context

import pytest

from app.domain.stages import Stage, StageTimes, Timed, heard_by


def test_a_listener_hears_the_stages_of_its_block():
    times = StageTimes()

    with heard_by(times), Timed(Stage.DETECT):
        pass

    [(stage, began, ended)] = times.told
    assert stage is Stage.DETECT
    assert began <= ended


def test_what_fails_took_time_as_well():
    times = StageTimes()

    with heard_by(times), pytest.raises(ValueError, match="damaged"), Timed(Stage.DECODE):
        raise ValueError("damaged")

    assert set(times.seconds()) == {Stage.DECODE}


def test_nobody_hears_what_comes_after_the_block():
    times = StageTimes()
    with heard_by(times):
        pass

    with Timed(Stage.DETECT):
        pass

    assert times.told == []


def test_a_thread_in_the_context_of_a_block_is_heard():
    times = StageTimes()

    def work():
        with Timed(Stage.EMBED):
            pass

    with heard_by(times):
        thread = threading.Thread(target=copy_context().run, args=(work,))
    thread.start()
    thread.join()

    assert set(times.seconds()) == {Stage.EMBED}


def test_times_of_a_stage_that_comes_again_add_up():
    times = StageTimes()

    times(Stage.SQL, 1.0, 1.25)
    times(Stage.SQL, 2.0, 2.5)

    assert times.seconds() == {Stage.SQL: 0.75}
