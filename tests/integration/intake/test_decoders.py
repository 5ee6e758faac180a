"""Decoder processes: as exact as decoding at home, worth nothing to an attacker, soon replaced."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.domain.errors import (
    ConfigurationError,
    ImageTooSmall,
    InvalidImageFile,
    InvalidImageFormat,
)
from app.domain.values import ImageLimits
from app.intake.decoders import DecoderLimits, Decoders
from app.intake.decoding import decode
from tests.integration.intake import faulty_decoder as fault
from tests.malformed import pictures as bad
from tests.unit.intake.test_decoding import Here

LIMITS = ImageLimits()
ROOT = Path(__file__).parents[3]
SOON = 2.0  # seconds; the bar is 0.5, the rest is for a machine that has much else to do
QUICK = DecoderLimits(patience=0.4)


@pytest.fixture(scope="module")
def decoders():
    decoders = Decoders(2)
    yield decoders
    decoders.close()


@pytest.fixture
def faulty():
    decoders = Decoders(1, limits=QUICK, program=fault.__name__)
    decoders.check()
    yield decoders
    decoders.close()


def children(of: int | None = None) -> list[int]:
    """The decoder processes of a process: of this one, if none is named."""
    parent = os.getpid() if of is None else of
    listed = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(pid) for file in listed for pid in file.read_text().split()]


def faulty_child() -> int:
    """The one process of the fixture `faulty`."""
    [pid] = (
        pid for pid in children() if fault.__name__ in Path(f"/proc/{pid}/cmdline").read_text()
    )
    return pid


def eventually(true: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def outcome(data, decoder, limits=LIMITS):
    try:
        return decode(data, limits, decoder)
    except (InvalidImageFile, InvalidImageFormat, ImageTooSmall) as error:
        return type(error)


def same(one, other) -> bool:
    if isinstance(one, type) or isinstance(other, type):
        return one is other
    return np.array_equal(one, other)


# --- exactness


@pytest.mark.parametrize("data", bad.sound_files())
@pytest.mark.parametrize("limits", [LIMITS, ImageLimits(shrink_to=50)])
def test_a_process_decodes_every_kind_as_the_code_does_at_home(decoders, data, limits):
    pixels = decode(data, limits, decoders)

    assert np.array_equal(pixels, decode(data, limits, Here()))
    assert pixels.flags.writeable
    assert pixels.flags.owndata


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_comes_back_upright(decoders, orientation):
    pixels = decode(bad.turned_png(bad.scene(), orientation), LIMITS, decoders)

    assert np.array_equal(pixels, bad.UPRIGHT[orientation](bad.scene()))


def test_damaged_pictures_end_as_they_do_at_home(decoders):
    files = [file for file in bad.mutations(11, 400) if file[:4] in {b"\x89PNG", b"\xff\xd8\xff"}]

    different = [
        n for n, f in enumerate(files) if not same(outcome(f, decoders), outcome(f, Here()))
    ]

    assert different == []


def test_the_largest_picture_comes_through_and_its_memory_is_given_back():
    decoders = Decoders(1, limits=DecoderLimits(patience=30))  # on a busy machine
    ours = resident(os.getpid(), "RssShmem")

    pixels = decode(bad.grey_png(10_000, 5_000), LIMITS, decoders)

    assert pixels.shape == (5_000, 10_000, 3)
    assert not pixels.any()
    assert resident(os.getpid(), "RssShmem") < ours + 10_000
    decoders.close()


def resident(pid: int, name: str = "VmRSS") -> int:
    """In kilobytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


# --- faults


def picture(width: int) -> bytes:
    return bad.png(bad.scene(width, 100))


def after(faulty: Decoders, width: int) -> tuple[object, float, float]:
    """What became of a picture, how long that took, and how long a good one takes next."""
    begin = time.monotonic()
    ended = outcome(picture(width), faulty)
    between = time.monotonic()
    assert np.array_equal(decode(bad.png(), LIMITS, faulty), bad.scene())
    return ended, between - begin, time.monotonic() - between


@pytest.mark.parametrize(
    "width",
    [
        fault.CRASH,
        fault.EAT,
        fault.QUIT,
        fault.CHATTER,
        fault.WHISPER,
        fault.HANG_UP,
        fault.OVERFLOW,
    ],
)
def test_a_decoder_that_breaks_costs_its_own_picture_alone(faulty, width):
    ended, took, recovery = after(faulty, width)

    assert ended is InvalidImageFile
    assert took < SOON
    assert recovery < SOON


@pytest.mark.parametrize("width", [fault.LOOP, fault.SLEEP])
def test_a_decoder_that_takes_too_long_is_ended(faulty, width):
    ended, took, recovery = after(faulty, width)

    assert ended is InvalidImageFile
    assert QUICK.patience <= took < QUICK.patience + SOON
    assert recovery < SOON


def test_a_decoder_that_does_not_even_notice_the_time_is_ended(faulty):
    pid = faulty_child()
    os.kill(pid, signal.SIGSTOP)

    ended, took, recovery = after(faulty, 100)

    assert ended is InvalidImageFile
    assert took < QUICK.patience + SOON
    assert recovery < SOON
    assert not running(pid)


def test_broken_pictures_keep_no_more_decoders_busy_than_sound_ones():
    decoders, others = Decoders(6), {*children()}
    decoders.check()

    for _ in range(12):
        assert outcome(bad.png()[:300], decoders) is InvalidImageFile

    started = {*children()} - others
    decoders.close()
    assert started == set()  # the first two were there before `others` were counted


def test_a_decoder_killed_while_idle_costs_no_picture(faulty):
    pid = faulty_child()
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not running(pid))

    assert np.array_equal(decode(bad.png(), LIMITS, faulty), bad.scene())


def test_signals_that_stop_a_server_do_not_stop_its_decoders(faulty):
    pid = faulty_child()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)

    assert np.array_equal(decode(bad.png(), LIMITS, faulty), bad.scene())
    assert faulty_child() == pid


def test_a_program_that_does_not_start_is_a_configuration_error():
    decoders = Decoders(1, program="app.intake.no_such_decoder")

    with pytest.raises(ConfigurationError):
        decoders.check()

    decoders.close()


# --- what a decoder has


def test_a_decoder_has_an_empty_environment_two_pipes_and_its_memory(monkeypatch, request):
    monkeypatch.setenv("FACERECO_SECRET", "in the environment")
    request.getfixturevalue("faulty")
    pid = faulty_child()

    environ = Path(f"/proc/{pid}/environ").read_text()
    open_files = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]

    assert {entry.partition("=")[0] for entry in environ.split("\0") if entry} <= {
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TRIM_THRESHOLD_",
    }
    assert sorted(name.partition(":")[0] for name in open_files) == [
        "/dev/null",
        "/memfd",
        "pipe",
        "pipe",
    ]


@pytest.mark.parametrize("width", [fault.OPEN, fault.CONNECT, fault.FORK])
def test_a_decoder_can_open_nothing(faulty, width):
    ended, _, _ = after(faulty, width)

    assert ended is InvalidImageFile


def test_a_decoder_leaves_no_core_and_stays_small(faulty):
    pid = faulty_child()

    limits = Path(f"/proc/{pid}/limits").read_text()

    assert any(
        line.split()[:5] == ["Max", "core", "file", "size", "0"] for line in limits.splitlines()
    )
    assert resident(pid) < 40_000


def test_a_decoder_knows_pillow_and_the_standard_library_alone():
    code = (
        f"import sys; sys.path.append({str(ROOT)!r}); import app.intake.decoder;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], env={}, capture_output=True, text=True, check=True
    )

    foreign = set(done.stdout.split()) - set(sys.stdlib_module_names)

    assert {name for name in foreign if not name.startswith(("_", "sitecustomize"))} == {
        "app",
        "PIL",
    }


# --- ends


def test_a_decoder_ends_with_its_pool():
    others = {*children()}
    decoders = Decoders(2)
    decoders.check()
    pids = {*children()} - others

    decoders.close()

    assert len(pids) == 2
    assert not any(map(running, pids))


SERVER = """
import sys, threading, time
from app.intake.decoders import DecoderLimits, Decoders
from app.intake.decoding import decode
from app.domain.values import ImageLimits
from tests.integration.intake import faulty_decoder as fault
from tests.malformed import pictures as bad
decoders = Decoders(2, limits=DecoderLimits(patience=1), program=fault.__name__)
decoders.check()
looping = bad.png(bad.scene(fault.LOOP, 100))
threading.Thread(target=lambda: decode(looping, ImageLimits(), decoders), daemon=True).start()
time.sleep(0.2)
print("working", flush=True)
time.sleep(60)
"""


def test_decoders_end_when_the_server_is_killed_busy_ones_too():
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()
        pids = children(server.pid)
        server.kill()

    assert len(pids) == 2
    assert eventually(lambda: not any(map(running, pids)), seconds=3)
