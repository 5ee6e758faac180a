"""Pictures are analysed in processes of their own, as they would be in this one."""

import asyncio
import base64
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image as Pillow

from app import worker
from app.domain.callers import BEHIND, CALLER, Caller
from app.domain.errors import (
    ConfigurationError,
    ImageTooSmall,
    InternalError,
    InvalidImageBytes,
    InvalidImageFormat,
    InvalidImageSize,
    ModelUnavailable,
    Overloaded,
    SpoofingUnavailable,
)
from app.domain.stages import Stage, StageTimes, heard_by
from app.domain.values import (
    EVERY_FACE,
    Base64Image,
    Decoded,
    Eligibility,
    Embedding,
    Face,
    ImageLimits,
    ModelVersion,
    SpoofingCondition,
    UploadedImage,
    Wanted,
)
from app.intake.decoding import Elsewhere
from app.intake.images import File
from app.vision.analyzer import Analyzer
from app.vision.packs import PackCatalog
from app.vision.worker_pool import WorkerPool
from app.vision.workers import Program
from benchmarks.hostile.machine import started_by
from tests.integration.vision import faulty_worker
from tests.integration.vision.faulty_worker import CRASH, HANG, SECONDS, WAIT
from tests.unit.vision import packs

ROOT = Path(__file__).parents[3]
LIMITS = ImageLimits()
PIXELS = packs.picture(320, 256, (2, 3), (7, 1))
EVERYTHING = Wanted(orientation=True, embeddings=EVERY_FACE)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    packs.make(folder, "tiny")
    packs.make(folder, "other")
    return folder


def opened(models, *, program=worker.__name__, default="tiny", silence=60.0, **settings):
    """A pool; whoever wants to be sure that it works asks whether it is `ready`."""
    given = {"count": 1, "backlog": 8, **settings}
    config = worker.WorkerConfig(default, [str(models)], making=1, log_level="error")
    return WorkerPool(
        PackCatalog(models), default, Program(program, config, silence=silence), **given
    )


@pytest.fixture(scope="module")
def pool(models):
    pool = opened(models)
    pool.ready()
    yield pool
    pool.close()


@pytest.fixture
def faulty(models):
    pool = opened(models, program=faulty_worker.__name__)
    pool.ready()
    yield pool
    pool.close()


def file_of(pixels, kind="PNG"):
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, kind)
    return file.getvalue()


def uploaded(pixels, limits=LIMITS):
    return File(UploadedImage(file_of(pixels)), limits, Elsewhere())


def in_text(text, limits=LIMITS):
    return File(Base64Image(text), limits, Elsewhere())


def bits(face: Face) -> bytes | None:
    """Of the face's vector."""
    return None if face.embedding is None else face.embedding.tobytes()


def wide(width):
    """A picture of a face that is as wide as a fault asks for."""
    return uploaded(packs.picture(width, 256, (1, 3)))


def wait_for_the_end_of(pid):
    # Its first thread may be gone before the others are, which still hold its socket.
    while ") Z " not in Path(f"/proc/{pid}/stat").read_text() or len(threads(pid)) > 1:
        time.sleep(0.01)


def threads(pid):
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]


def workers():
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in started_by("self")}
    return [pid for pid, command in commands.items() if b"worker" in command]


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        EVERYTHING,
        Wanted(mask=True, embeddings=1, eligible=Eligibility(min_side=70)),
        Wanted(embeddings=1, max_faces=1),
    ],
    ids=["boxes", "everything", "some of them eligible", "one face"],
)
async def test_a_worker_finds_what_this_process_would(pool, models, wanted):
    analyzer = Analyzer.open(PackCatalog(models), "tiny", workers=1, backlog=1)

    here = await analyzer.analyze(Decoded(PIXELS), wanted)
    there = await pool.analyze(uploaded(PIXELS), wanted)

    analyzer.close()
    assert len(there) == min(2, wanted.max_faces)
    for one, other in zip(there, here, strict=True):
        fields = {name: getattr(one, name) for name in one.__slots__ if name != "embedding"}
        assert fields == {name: getattr(other, name) for name in fields}
        assert bits(one) == bits(other)


async def test_a_picture_may_come_as_text(pool):
    text = base64.b64encode(file_of(PIXELS)).decode()

    assert len(await pool.analyze(in_text(text), Wanted())) == 2


async def test_another_pack_is_loaded_there_when_it_is_wanted(pool, models):
    other = PackCatalog(models).get("other").model_version

    assert len(await pool.analyze(uploaded(PIXELS), EVERYTHING, other)) == 2


async def test_the_first_faces_vector_is_told_early(pool):
    told: list[Embedding] = []

    faces = await pool.analyze(
        uploaded(PIXELS), Wanted(orientation=True, embeddings=1), early=told.append
    )

    assert [vector.tobytes() for vector in told] == [faces[0].embedding.tobytes()]


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (in_text("no base64!"), InvalidImageBytes),
        (in_text(base64.b64encode(b"no picture").decode()), InvalidImageFormat),
        (uploaded(packs.picture(320, 40)), ImageTooSmall),
    ],
    ids=["text", "file", "size"],
)
async def test_what_is_wrong_with_a_picture_reaches_the_one_who_asked(pool, picture, expected):
    with pytest.raises(expected):
        await pool.analyze(picture, Wanted())


async def test_a_crop_that_is_not_aligned_is_said_to_be_so(pool):
    with pytest.raises(InvalidImageSize):
        await pool.is_spoof(uploaded(PIXELS, ImageLimits(only_side=224)), SpoofingCondition.STRICT)


async def test_what_a_pack_cannot_tell_is_refused(pool):
    with pytest.raises(SpoofingUnavailable):
        await pool.analyze(uploaded(PIXELS), Wanted(spoofing=SpoofingCondition.WEAK))
    with pytest.raises(SpoofingUnavailable):
        await pool.is_spoof(uploaded(PIXELS), SpoofingCondition.WEAK)


async def test_a_model_that_is_not_installed_is_said_to_be_so(pool):
    with pytest.raises(ModelUnavailable):
        await pool.analyze(uploaded(PIXELS), Wanted(), ModelVersion("none-00000000"))


async def test_pixels_that_are_here_already_go_nowhere(pool):
    with pytest.raises(InternalError):
        await pool.analyze(Decoded(PIXELS), Wanted())


async def test_what_cannot_be_told_to_a_worker_keeps_no_place_there(pool):
    for _ in range(8):
        with pytest.raises(TypeError):
            await pool.analyze(uploaded(PIXELS), Wanted(max_faces=2**70))

    assert len(await pool.analyze(uploaded(PIXELS), Wanted())) == 2


async def test_stages_are_told_to_whoever_listens(pool):
    times = StageTimes()
    before = time.perf_counter()

    with heard_by(times):
        await pool.analyze(uploaded(PIXELS), EVERYTHING)

    assert {Stage.DECODE, Stage.DETECT, Stage.EMBED} <= set(times.seconds())
    assert all(before < began <= ended < time.perf_counter() for _, began, ended in times.told)


async def test_a_second_process_starts_when_there_is_work_for_it(models):
    pool = opened(models, program=faulty_worker.__name__, count=2)
    pool.ready()
    known = set(workers())
    await pool.analyze(uploaded(PIXELS), Wanted())
    alone = set(workers()) - known

    await asyncio.gather(*(pool.analyze(wide(WAIT), Wanted()) for _ in range(6)))
    together = set(workers()) - known

    pool.close()
    assert (len(alone), len(together)) == (0, 1)


async def test_what_comes_goes_round_a_picture_that_stalls_its_process(models, monkeypatch):
    monkeypatch.setattr("app.vision.worker_pool._LONG", SECONDS / 8)
    pool = opened(models, program=faulty_worker.__name__, count=2)
    pool.ready()
    await asyncio.gather(*(pool.analyze(wide(WAIT), Wanted()) for _ in range(4)))  # both are there
    stalled = asyncio.create_task(pool.analyze(wide(WAIT), Wanted()))
    await asyncio.sleep(SECONDS / 4)

    # One after the other; the third would otherwise find both equally busy.
    others = [asyncio.create_task(pool.analyze(uploaded(PIXELS), Wanted())) for _ in range(2)]
    await asyncio.gather(*others)

    assert not stalled.done()
    await stalled
    pool.close()


async def test_a_process_that_dies_loses_what_it_was_at_and_nothing_else(faulty):
    others = [wide(WAIT), uploaded(PIXELS)]

    crash, *answers = await asyncio.gather(
        *(faulty.analyze(picture, Wanted()) for picture in (wide(CRASH), *others)),
        return_exceptions=True,
    )

    assert isinstance(crash, InternalError)
    assert [isinstance(answer, list) and len(answer) for answer in answers] == [1, 2]
    assert len(await faulty.analyze(uploaded(PIXELS), Wanted())) == 2


async def test_a_process_that_hangs_is_replaced_and_loses_what_it_was_at_alone(models):
    # Longer than a picture that waits takes, which is no reason to replace anybody.
    pool = opened(models, program=faulty_worker.__name__, silence=3 * SECONDS)
    pool.ready()
    await pool.analyze(wide(WAIT), Wanted())
    assert pool.deaths == 0

    hung = asyncio.create_task(pool.analyze(wide(HANG), Wanted()))
    await asyncio.sleep(SECONDS / 2)
    ahead = asyncio.create_task(pool.analyze(uploaded(PIXELS), Wanted()))

    with pytest.raises(InternalError):
        await hung
    assert len(await ahead) == 2
    assert pool.deaths == 1
    pool.close()


async def test_processes_that_were_held_together_with_the_server_do_not_hang(models):
    known = set(workers())
    pool = opened(models, program=faulty_worker.__name__, silence=SECONDS)
    pool.ready()
    [pid] = set(workers()) - known
    found = asyncio.create_task(pool.analyze(uploaded(PIXELS), Wanted()))
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(0)  # it is given the picture

    time.sleep(3 * SECONDS)  # noqa: ASYNC251 - as if everything had been held
    os.kill(pid, signal.SIGCONT)

    assert len(await found) == 2
    assert pool.deaths == 0
    pool.close()


async def test_a_process_without_work_may_be_silent_for_as_long_as_it_likes(models):
    pool = opened(models, silence=0.1)
    pool.ready()
    await pool.analyze(uploaded(PIXELS), Wanted())

    await asyncio.sleep(0.4)

    assert (pool.processes, pool.deaths) == (1, 0)
    pool.close()


async def test_a_process_that_was_killed_while_idle_is_replaced(models):
    known = set(workers())
    pool = opened(models)
    pool.ready()
    await pool.analyze(uploaded(PIXELS), Wanted())
    [first] = set(workers()) - known

    os.kill(first, signal.SIGKILL)
    await asyncio.sleep(0.1)
    found = await pool.analyze(uploaded(PIXELS), Wanted())
    [second] = set(workers()) - known

    pool.close()
    assert len(found) == 2
    assert second != first


async def test_a_picture_given_to_a_process_that_had_died_goes_to_the_next(models):
    known = set(workers())
    pool = opened(models)
    pool.ready()
    await pool.analyze(uploaded(PIXELS), Wanted())
    [first] = set(workers()) - known

    os.kill(first, signal.SIGKILL)
    wait_for_the_end_of(first)  # without the event loop, which would hear of it
    found = await pool.analyze(uploaded(PIXELS), Wanted())

    pool.close()
    assert len(found) == 2


async def test_too_many_pictures_at_once_are_refused_and_the_rest_answered(models):
    pool = opened(models, program=faulty_worker.__name__, backlog=1)
    pool.ready()
    first, second = (asyncio.create_task(pool.analyze(wide(WAIT), Wanted())) for _ in range(2))
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await pool.analyze(uploaded(PIXELS), Wanted())

    assert [len(faces) for faces in await asyncio.gather(first, second)] == [1, 1]
    assert len(await pool.analyze(uploaded(PIXELS), Wanted())) == 2
    pool.close()


async def test_who_stops_waiting_leaves_the_queue(faulty):
    began = time.monotonic()
    jobs = [asyncio.create_task(faulty.analyze(wide(WAIT), Wanted())) for _ in range(8)]
    await asyncio.sleep(0.05)

    for job in jobs[1:]:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    await faulty.analyze(uploaded(PIXELS), Wanted())

    # Beside the first only the one that was made ready was done.
    assert time.monotonic() - began < 5 * SECONDS


async def test_a_newcomer_comes_before_what_another_had_waiting(faulty):
    order = []

    async def ask(tenant, name):
        CALLER.set(Caller(tenant))
        await faulty.analyze(wide(WAIT), Wanted())
        order.append(name)

    many = [asyncio.create_task(ask(1, f"a{number}")) for number in range(5)]
    await asyncio.sleep(0.05)
    await asyncio.gather(ask(2, "b"), *many)

    assert order.index("b") <= 2


async def test_what_stays_behind_is_done_by_threads_that_leave_the_processor_to_others(models):
    known = set(workers())
    pool = opened(models)
    pool.ready()
    BEHIND.set(True)

    found = await pool.analyze(uploaded(PIXELS), Wanted())
    [pid] = set(workers()) - known
    policies = {os.sched_getscheduler(thread) for thread in threads(pid)}

    pool.close()
    assert len(found) == 2
    assert os.SCHED_IDLE in policies


def test_a_pool_says_why_it_cannot_work(tmp_path):
    for name in ("tiny", "other"):
        packs.make(tmp_path, name)
        packs.channel_means(tmp_path / name / "embedder.onnx", 96)
    pool = opened(tmp_path)

    with pytest.raises(ConfigurationError, match="SHA-256"):
        pool.ready()

    pool.close()


def test_a_program_that_is_none_ends_the_start(models):
    pool = opened(models, program="app.no_such_worker")

    with pytest.raises(ConfigurationError, match="exit 1"):
        pool.ready()

    pool.close()


async def test_where_no_process_comes_back_nobody_waits_for_one(tmp_path):
    packs.make(tmp_path, "tiny")
    known = set(workers())
    pool = opened(tmp_path)
    pool.ready()
    await pool.analyze(uploaded(PIXELS), Wanted())
    [pid] = set(workers()) - known

    (tmp_path / "tiny" / "embedder.onnx").unlink()
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.1)  # until it is seen that it ended

    async with asyncio.timeout(20):
        for _ in range(2):  # while the next one starts, and when it was seen to start no more
            with pytest.raises(InternalError):
                await pool.analyze(uploaded(PIXELS), Wanted())
    with pytest.raises(ModelUnavailable):
        pool.check()
    pool.close()


def test_a_worker_gets_nothing_of_the_servers_environment(pool):
    del pool
    for pid in workers():
        assert b"FACERECO" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert b"PATH" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_where_memory_is_short_a_worker_goes_before_the_server(pool):
    del pool
    for pid in workers():
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "500\n"
        assert "Max core file size        0" in Path(f"/proc/{pid}/limits").read_text()


def test_signals_that_stop_a_server_do_not_stop_its_workers(models):
    known = set(workers())
    pool = opened(models)
    pool.ready()
    [pid] = set(workers()) - known

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    found = asyncio.run(pool.analyze(uploaded(PIXELS), Wanted()))

    pool.close()
    assert len(found) == 2


_SERVER = """
import sys, time
from pathlib import Path
from app import worker
from app.vision.worker_pool import WorkerPool
from app.vision.packs import PackCatalog
from app.vision.workers import Program
folder = sys.argv[1]
config = worker.WorkerConfig("tiny", [folder], 1, "error")
program = Program("app.worker", config)
pool = WorkerPool(PackCatalog(Path(folder)), "tiny", program, count=1, backlog=1)
pool.ready()
print("ready", flush=True)
time.sleep(60)
"""


def test_workers_do_not_outlive_a_server_that_was_killed(models):
    command = [sys.executable, "-c", _SERVER, str(models)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        [left] = started_by(server.pid)
        below = started_by(left)

        server.kill()

    until = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in (left, *below)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(f"/proc/{left}").exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in below)
