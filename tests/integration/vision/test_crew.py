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
from app.vision.crew import Crew
from app.vision.packs import PackCatalog
from app.vision.workers import Program
from benchmarks.hostile.machine import started_by
from tests.integration.vision import faulty_worker
from tests.integration.vision.faulty_worker import CRASH, SECONDS, WAIT
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


def opened(models, *, program=worker.__name__, default="tiny", **settings):
    """A crew; whoever wants to be sure that it works asks whether it is `ready`."""
    given = {"count": 1, "backlog": 8, **settings}
    duties = worker.Duties(default, [str(models)], making=1, log_level="error")
    return Crew(PackCatalog(models), default, Program(program, duties), **given)


@pytest.fixture(scope="module")
def crew(models):
    crew = opened(models)
    crew.ready()
    yield crew
    crew.close()


@pytest.fixture
def faulty(models):
    crew = opened(models, program=faulty_worker.__name__)
    crew.ready()
    yield crew
    crew.close()


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
async def test_a_worker_finds_what_this_process_would(crew, models, wanted):
    analyzer = Analyzer.open(PackCatalog(models), "tiny", workers=1, backlog=1)

    here = await analyzer.analyze(Decoded(PIXELS), wanted)
    there = await crew.analyze(uploaded(PIXELS), wanted)

    analyzer.close()
    assert len(there) == min(2, wanted.max_faces)
    for one, other in zip(there, here, strict=True):
        fields = {name: getattr(one, name) for name in one.__slots__ if name != "embedding"}
        assert fields == {name: getattr(other, name) for name in fields}
        assert bits(one) == bits(other)


async def test_a_picture_may_come_as_text(crew):
    text = base64.b64encode(file_of(PIXELS)).decode()

    assert len(await crew.analyze(in_text(text), Wanted())) == 2


async def test_another_pack_is_loaded_there_when_it_is_wanted(crew, models):
    other = PackCatalog(models).get("other").model_version

    assert len(await crew.analyze(uploaded(PIXELS), EVERYTHING, other)) == 2


async def test_the_first_faces_vector_is_told_early(crew):
    told: list[Embedding] = []

    faces = await crew.analyze(
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
async def test_what_is_wrong_with_a_picture_reaches_the_one_who_asked(crew, picture, expected):
    with pytest.raises(expected):
        await crew.analyze(picture, Wanted())


async def test_a_crop_that_is_not_aligned_is_said_to_be_so(crew):
    with pytest.raises(InvalidImageSize):
        await crew.is_spoof(uploaded(PIXELS, ImageLimits(only_side=224)), SpoofingCondition.STRICT)


async def test_what_a_pack_cannot_tell_is_refused(crew):
    with pytest.raises(SpoofingUnavailable):
        await crew.analyze(uploaded(PIXELS), Wanted(spoofing=SpoofingCondition.WEAK))
    with pytest.raises(SpoofingUnavailable):
        await crew.is_spoof(uploaded(PIXELS), SpoofingCondition.WEAK)


async def test_a_model_that_is_not_installed_is_said_to_be_so(crew):
    with pytest.raises(ModelUnavailable):
        await crew.analyze(uploaded(PIXELS), Wanted(), ModelVersion("none-00000000"))


async def test_pixels_that_are_here_already_go_nowhere(crew):
    with pytest.raises(InternalError):
        await crew.analyze(Decoded(PIXELS), Wanted())


async def test_what_cannot_be_told_to_a_worker_keeps_no_place_there(crew):
    for _ in range(8):
        with pytest.raises(TypeError):
            await crew.analyze(uploaded(PIXELS), Wanted(max_faces=2**70))

    assert len(await crew.analyze(uploaded(PIXELS), Wanted())) == 2


async def test_stages_are_told_to_whoever_listens(crew):
    times = StageTimes()
    before = time.perf_counter()

    with heard_by(times):
        await crew.analyze(uploaded(PIXELS), EVERYTHING)

    assert {Stage.DECODE, Stage.DETECT, Stage.EMBED} <= set(times.seconds())
    assert all(before < began <= ended < time.perf_counter() for _, began, ended in times.told)


async def test_a_second_process_starts_when_there_is_work_for_it(models):
    crew = opened(models, program=faulty_worker.__name__, count=2)
    crew.ready()
    known = set(workers())
    await crew.analyze(uploaded(PIXELS), Wanted())
    alone = set(workers()) - known

    await asyncio.gather(*(crew.analyze(wide(WAIT), Wanted()) for _ in range(6)))
    together = set(workers()) - known

    crew.close()
    assert (len(alone), len(together)) == (0, 1)


async def test_what_comes_goes_round_a_picture_that_stalls_its_process(models, monkeypatch):
    monkeypatch.setattr("app.vision.crew._LONG", SECONDS / 8)
    crew = opened(models, program=faulty_worker.__name__, count=2)
    crew.ready()
    await asyncio.gather(*(crew.analyze(wide(WAIT), Wanted()) for _ in range(4)))  # both are there
    stalled = asyncio.create_task(crew.analyze(wide(WAIT), Wanted()))
    await asyncio.sleep(SECONDS / 4)

    # One after the other; the third would otherwise find both equally busy.
    others = [asyncio.create_task(crew.analyze(uploaded(PIXELS), Wanted())) for _ in range(2)]
    await asyncio.gather(*others)

    assert not stalled.done()
    await stalled
    crew.close()


async def test_a_process_that_dies_loses_what_it_was_at_and_nothing_else(faulty):
    others = [wide(WAIT), uploaded(PIXELS)]

    crash, *answers = await asyncio.gather(
        *(faulty.analyze(picture, Wanted()) for picture in (wide(CRASH), *others)),
        return_exceptions=True,
    )

    assert isinstance(crash, InternalError)
    assert [isinstance(answer, list) and len(answer) for answer in answers] == [1, 2]
    assert len(await faulty.analyze(uploaded(PIXELS), Wanted())) == 2


async def test_a_process_that_was_killed_while_idle_is_replaced(models):
    known = set(workers())
    crew = opened(models)
    crew.ready()
    await crew.analyze(uploaded(PIXELS), Wanted())
    [first] = set(workers()) - known

    os.kill(first, signal.SIGKILL)
    await asyncio.sleep(0.1)
    found = await crew.analyze(uploaded(PIXELS), Wanted())
    [second] = set(workers()) - known

    crew.close()
    assert len(found) == 2
    assert second != first


async def test_a_picture_given_to_a_process_that_had_died_goes_to_the_next(models):
    known = set(workers())
    crew = opened(models)
    crew.ready()
    await crew.analyze(uploaded(PIXELS), Wanted())
    [first] = set(workers()) - known

    os.kill(first, signal.SIGKILL)
    wait_for_the_end_of(first)  # without the event loop, which would hear of it
    found = await crew.analyze(uploaded(PIXELS), Wanted())

    crew.close()
    assert len(found) == 2


async def test_too_many_pictures_at_once_are_refused_and_the_rest_answered(models):
    crew = opened(models, program=faulty_worker.__name__, backlog=1)
    crew.ready()
    first, second = (asyncio.create_task(crew.analyze(wide(WAIT), Wanted())) for _ in range(2))
    await asyncio.sleep(0)

    with pytest.raises(Overloaded):
        await crew.analyze(uploaded(PIXELS), Wanted())

    assert [len(faces) for faces in await asyncio.gather(first, second)] == [1, 1]
    assert len(await crew.analyze(uploaded(PIXELS), Wanted())) == 2
    crew.close()


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
    crew = opened(models)
    crew.ready()
    BEHIND.set(True)

    found = await crew.analyze(uploaded(PIXELS), Wanted())
    [pid] = set(workers()) - known
    policies = {os.sched_getscheduler(thread) for thread in threads(pid)}

    crew.close()
    assert len(found) == 2
    assert os.SCHED_IDLE in policies


def test_a_crew_says_why_it_cannot_work(tmp_path):
    for name in ("tiny", "other"):
        packs.make(tmp_path, name)
        packs.channel_means(tmp_path / name / "embedder.onnx", 96)
    crew = opened(tmp_path)

    with pytest.raises(ConfigurationError, match="SHA-256"):
        crew.ready()

    crew.close()


def test_a_program_that_is_none_ends_the_start(models):
    crew = opened(models, program="app.no_such_worker")

    with pytest.raises(ConfigurationError, match="exit 1"):
        crew.ready()

    crew.close()


async def test_where_no_process_comes_back_nobody_waits_for_one(tmp_path):
    packs.make(tmp_path, "tiny")
    known = set(workers())
    crew = opened(tmp_path)
    crew.ready()
    await crew.analyze(uploaded(PIXELS), Wanted())
    [pid] = set(workers()) - known

    (tmp_path / "tiny" / "embedder.onnx").unlink()
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.1)  # until it is seen that it ended

    async with asyncio.timeout(20):
        for _ in range(2):  # while the next one starts, and when it was seen to start no more
            with pytest.raises(InternalError):
                await crew.analyze(uploaded(PIXELS), Wanted())
    with pytest.raises(ModelUnavailable):
        crew.check()
    crew.close()


def test_a_worker_gets_nothing_of_the_servers_environment(crew):
    del crew
    for pid in workers():
        assert b"FACERECO" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert b"PATH" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_where_memory_is_short_a_worker_goes_before_the_server(crew):
    del crew
    for pid in workers():
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "500\n"
        assert "Max core file size        0" in Path(f"/proc/{pid}/limits").read_text()


def test_signals_that_stop_a_server_do_not_stop_its_workers(models):
    known = set(workers())
    crew = opened(models)
    crew.ready()
    [pid] = set(workers()) - known

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    found = asyncio.run(crew.analyze(uploaded(PIXELS), Wanted()))

    crew.close()
    assert len(found) == 2


_SERVER = """
import sys, time
from pathlib import Path
from app import worker
from app.vision.crew import Crew
from app.vision.packs import PackCatalog
from app.vision.workers import Program
folder = sys.argv[1]
duties = worker.Duties("tiny", [folder], 1, "error")
crew = Crew(PackCatalog(Path(folder)), "tiny", Program("app.worker", duties), count=1, backlog=1)
crew.ready()
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
