"""What is measured, section by section."""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import NormalDist

import numpy as np
from PIL import Image as PillowImage

from app.domain.calibration import Table
from app.domain.fitting import Ranked, Trials, cross
from app.domain.rates import Rate
from app.domain.values import Image
from app.vision.geometry import Detections, Floats
from app.vision.pose import rolls, wrapped
from benchmarks.accuracy.hardships import turned
from benchmarks.evidence.page import Section, told
from benchmarks.evidence.pictures import Pictures, Shot
from benchmarks.evidence.svg import Axis, Chart, plain, upwards
from models.training import measures
from models.training.masks import draw
from models.training.packs import PackUnderTest
from models.training.scores import ErrorCurve, error_curve, resampled

SHOWN = (50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0)
GROUPS = (1_000, 10_000, 100_000)
SIZES = (16, 24, 32, 48, 64, 96)  # px
TURNS = (-180, -90, -60, -45, -30, -15, 0, 15, 30, 45, 60, 90)
SEEN_AT_MOST = 60  # photos that are shown in other sizes, angles and masks
ROUNDS = 30  # of a timing, after five that do not count
SAME_PLACE = 0.5  # of a face's side, how far its centre may lie from where it must
REGISTERED_SIDE = 60.0  # px, shorter side; the default of FACERECO_MIN_FACE
ENOUGH = 100  # people whose spread says something of strangers
CHUNK = 10_000  # vectors compared at a time

LABELLED = (
    "photos with labelled faces",
    "found, from 50 px",
    "false faces a photo",
    "those from 60 px",
)
NOTHING_WRONG = (
    "At hardly any threshold do both errors occur among these pairs, so there is no curve of one "
    "against the other to draw. Of errors rarer than these pairs can show that says nothing."
)
MORE_PEOPLE = "There are too few people to say anything: this needs ten pairs of either kind."


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Photos with the face nearest their middle, and whose vectors those are."""

    shots: list[Shot]
    found: list[Detections]
    vectors: Floats
    people: list[str]
    missing: int


def faces_of(pack: PackUnderTest, pictures: Pictures) -> Faces:
    """The face of every photo that shows one."""
    shots, found, vectors, missing = [], [], [], 0
    for shot in pictures.shots():
        face = pack.central_face(shot.image)
        if face is None:
            missing += 1
            continue
        shots.append(shot)
        found.append(face)
        vectors.append(pack.pipeline.embedder.embed(shot.image, face.points)[0])
    matrix = np.stack(vectors) if vectors else np.empty((0, 1), np.float32)
    return Faces(shots, found, matrix, [shot.person for shot in shots], missing)


def verification(faces: Faces, table: Table) -> Section:
    """Every photo against every other: both errors, and how the scores lie."""
    section = Section("Is it the same person? (verification)")
    section.notes.append(f"{faces.missing} photos showed no face and are not among the pairs.")
    same, different = cross(faces.vectors, faces.people) if len(faces.people) else _nobody()
    if min(len(same), len(different)) < 10:
        section.notes.append(MORE_PEOPLE)
        return section
    curve = error_curve(same.cosines, different.cosines)
    low, high = resampled(same.cosines[:20_000], different.cosines[:20_000], rounds=50)
    section.notes.append(
        f"Equal error rate {curve.equal_error_rate:.2%} (95 %: {low:.2%} to {high:.2%}), of "
        f"{len(same):,} pairs of one person and {len(different):,} of two. Intervals in the table "
        "mind that pairs which share somebody are not independent; pairs of people weigh alike."
    )
    rows = _at_similarities(same.ranked(), different.ranked(), table)
    head = ("similarity", "strangers that match", "promised", "same person missed")
    section.tables.append((head, [row for row, _ in rows]))
    section.figures = {
        "pairs_of_one_person": len(same),
        "pairs_of_two": len(different),
        "equal_error_rate": curve.equal_error_rate,
        "equal_error_rate_interval": [low, high],
        "at": [figures for _, figures in rows],
    }
    section.pictures += [*_det(curve), _histogram(same, different)]
    if len(section.pictures) == 1:
        section.notes.append(NOTHING_WRONG)
    return section


def _nobody() -> tuple[Trials, Trials]:
    none = Trials.unrelated(np.empty(0))
    return none, none


Row = tuple[Sequence[str], dict[str, object]]


def _at_similarities(same: Ranked, different: Ranked, table: Table) -> list[Row]:
    return [_at(same, different, table, similarity) for similarity in SHOWN]


def _at(same: Ranked, different: Ranked, table: Table, similarity: float) -> Row:
    cosine = table.calibration.cosine(similarity)
    wrong, ends = different.rate(cosine), different.interval(cosine)
    missed, reach = 1 - same.rate(cosine), same.interval(cosine)
    promised = table.rates.at(similarity) if table.rates else None
    said = "-" if promised is None else f"{promised.false_match:.2g}"
    extra = " (extrapolated)" if promised is not None and promised.extrapolated else ""
    row = (
        f"{similarity:g}",
        f"{wrong:.2g} ({ends[0]:.2g} to {ends[1]:.2g})",
        said + extra,
        f"{missed:.2%} ({1 - reach[1]:.2%} to {1 - reach[0]:.2%})",
    )
    return row, {
        "similarity": similarity,
        "cosine": cosine,
        "false_match_rate": wrong,
        "false_match_interval": list(ends),
        "promised": None if promised is None else promised.false_match,
        "false_non_match_rate": missed,
        "false_non_match_interval": [1 - reach[1], 1 - reach[0]],
    }


def _det(curve: ErrorCurve) -> Iterator[str]:
    """Both errors on normal-deviate axes (Martin et al. 1997, "The DET curve"), if there are any.

    Where one of them is none, no line can say how rare it is: such thresholds are not drawn.
    """
    kept = (curve.false_accepts > 0) & (curve.false_rejects > 0)
    if kept.sum() < 2:
        return
    ticks = [(v, f"{100 * v:g} %") for v in (1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.5)]
    across = Axis("strangers that match", 1e-4, 0.5, ticks, NormalDist().inv_cdf)
    up = Axis("same person missed", 1e-4, 0.5, ticks, NormalDist().inv_cdf)
    points = np.column_stack([curve.false_accepts[kept], curve.false_rejects[kept]])
    step = max(1, len(points) // 800)
    chart = Chart("Detection error trade-off", across, up)
    chart.curve("this pack", [(float(x), float(y)) for x, y in points[::step]])
    yield chart.svg()


def _histogram(same: Trials, different: Trials) -> str:
    edges = np.linspace(-0.4, 1.0, 57)
    heights = {
        name: np.histogram(np.clip(trials.cosines, -0.4, 1.0), edges, density=True)[0]
        for name, trials in (("two people", different), ("one person", same))
    }
    top = float(max(some.max() for some in heights.values()))
    chart = Chart("Scores", plain("cosine", -0.4, 1.0, 0.2), upwards("density", top))
    for name, some in heights.items():
        chart.bars(name, edges.tolist(), some.tolist())
    return chart.svg()


def identification(faces: Faces, table: Table) -> Section:
    """One photo of everybody enrolled among strangers, the others looked for."""
    section = Section("Who is it? (identification in a group)")
    first = [faces.people.index(person) for person in dict.fromkeys(faces.people)]
    probes = [row for row in range(len(faces.people)) if row not in set(first)]
    if len(first) < 2 or not probes:
        section.notes.append("There is nobody with a second photo to look for.")
        return section
    section.notes.append(
        f"{len(first)} people are enrolled with one photo, filled up with vectors drawn at random "
        "that resemble each other as theirs do: strangers made up, because there are not enough "
        f"real ones. {len(probes)} other photos are looked for. With fewer than {ENOUGH} people "
        "these resemble nobody in particular, and rates are too good."
    )
    head = (
        "group",
        "first is right",
        "found from 80",
        "found from 90",
        "some stranger from 80",
        "some stranger from 90",
    )
    rows = [_identified(faces, first, probes, table, size) for size in GROUPS]
    section.tables.append((head, [row for row, _ in rows]))
    section.figures = {"groups": [figures for _, figures in rows]}
    return section


def _identified(faces: Faces, first: list[int], probes: list[int], table: Table, size: int) -> Row:
    people = np.array(faces.people)
    gallery = faces.vectors[first]
    mates = gallery @ faces.vectors[probes].T
    own = people[first][:, None] == people[probes][None]
    others = np.where(own, -1.0, mates).max(axis=0)
    real = faces.vectors if len(first) >= ENOUGH else faces.vectors[:0]
    for made in strangers(real, size - len(first), faces.vectors.shape[1]):
        others = np.maximum(others, (made @ faces.vectors[probes].T).max(axis=0))
    best = np.where(own, mates, -1.0).max(axis=0)
    cosines = [table.calibration.cosine(similarity) for similarity in (80.0, 90.0)]
    count = len(probes)
    rates = {
        "rank_1": Rate(int((best > others).sum()), count),
        **{
            f"found_{n}": Rate(int((best >= c).sum()), count)
            for n, c in zip((80, 90), cosines, strict=True)
        },
        **{
            f"stranger_{n}": Rate(int((others >= c).sum()), count)
            for n, c in zip((80, 90), cosines, strict=True)
        },
    }
    row = (f"{size:,}", *(told(rate) for rate in rates.values()))
    return row, {"size": size, **{name: rate.as_json() for name, rate in rates.items()}}


def strangers(real: Floats, count: int, width: int) -> Iterator[Floats]:
    """Unit vectors (n, width) with the mean and, shrunk, the spread of `real`; of none, evenly."""
    random, rows = np.random.default_rng(0), len(real)
    mean = real.mean(axis=0) if rows else np.zeros(width)
    own = np.cov(real.T) if rows > 1 else np.zeros((width, width))
    share = width / (width + rows)
    spread = (1 - share) * own + share * np.eye(width) * (1 - mean @ mean) / width
    root = np.linalg.cholesky(spread + 1e-9 * np.eye(width))
    for start in range(0, max(count, 0), CHUNK):
        drawn = random.normal(size=(min(CHUNK, count - start), width)) @ root.T + mean
        yield (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def detection(pack: PackUnderTest, faces: Faces, pictures: Pictures) -> Section:
    """Which share of faces is found at each size and angle."""
    section = Section("Are faces found? (detection)")
    chosen = list(zip(faces.shots, faces.found, strict=True))[:SEEN_AT_MOST]
    section.notes.append(
        f"{len(chosen)} photos shown smaller and turned; a face counts as found where it was found "
        "in the photo as it is."
    )
    by_size = {size: _found(pack, chosen, partial(_shrunk, size=size)) for size in SIZES}
    by_turn = {turn: _found(pack, chosen, partial(_turned, pack, turn=turn)) for turn in TURNS}
    for head, rates, axis in (
        ("face, px", by_size, plain("shorter side, px", 0, 100, 20)),
        ("turned by, degrees", by_turn, plain("degrees", -180, 90, 45)),
    ):
        section.tables.append(
            ((head, "found"), [(f"{k}", told(rate)) for k, rate in rates.items()])
        )
        section.pictures.append(_dots(head, rates, axis))
    section.figures = {
        "by_size": {str(size): rate.as_json() for size, rate in by_size.items()},
        "by_turn": {str(turn): rate.as_json() for turn, rate in by_turn.items()},
    }
    if pictures.boxes:
        labelled = measures.detection(pack, dict(pictures.boxes))
        section.tables.append((LABELLED, [_labelled(labelled)]))
        section.figures["labelled"] = labelled.as_json()
    return section


def _labelled(found: measures.Detection) -> Sequence[str]:
    false = [f"{found.false_a_photo(side):.3f}" for side in (0.0, REGISTERED_SIDE)]
    return f"{found.photos:,}", told(found.recall(50)), *false


Place = tuple[np.ndarray, float]
"""Where a face's centre lies, and how long its sides are, px."""


def _found(
    pack: PackUnderTest,
    chosen: Sequence[tuple[Shot, Detections]],
    change: Callable[[Image, Detections], tuple[Image, Place]],
) -> Rate:
    hits = 0
    for shot, face in chosen:
        image, (centre, side) = change(shot.image, face)
        boxes = pack.faces(image).boxes
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        hits += bool((np.linalg.norm(centres - centre, axis=1) < SAME_PLACE * side).any())
    return Rate(hits, len(chosen))


def _place(face: Detections) -> Place:
    box = face.boxes[0].astype(np.float64)
    return (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).min())


def _shrunk(image: Image, face: Detections, *, size: int) -> tuple[Image, Place]:
    centre, side = _place(face)
    scale = size / side
    shape = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    shown = PillowImage.fromarray(image).resize(shape, PillowImage.Resampling.LANCZOS)
    return np.asarray(shown), (centre * scale, float(size))


def _turned(
    pack: PackUnderTest, image: Image, face: Detections, *, turn: int
) -> tuple[Image, Place]:
    centre, side = _place(face)
    shown = turned(pack, image, Path(), degrees=float(turn))
    angle = np.radians(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    before = np.array(image.shape[1::-1]) / 2
    after = np.array(shown.shape[1::-1]) / 2
    return shown, (rotation @ (centre - before) + after, side)


def _dots(title: str, rates: dict[int, Rate], axis: Axis) -> str:
    chart = Chart(f"Found by {title}", axis, plain("found", 0, 1, 0.25))
    chart.dots("found", [(float(k), rate.value, *rate.interval) for k, rate in rates.items()])
    return chart.svg()


def masks(pack: PackUnderTest, faces: Faces, pictures: Pictures, table: Table) -> Section:
    """Whether masks are told, and who is still known under one."""
    section = Section("Masks")
    random = np.random.default_rng(0)
    chosen = list(zip(faces.shots, faces.found, strict=True))[: 4 * SEEN_AT_MOST]
    drawn = [draw(shot.image, face.points[0], random) for shot, face in chosen]
    covered = [pack.central_vector(image) for image in drawn]
    section.notes.append(
        f"Masks drawn on {len(drawn)} photos; each is compared with the others of its person."
    )
    rows = [_known(faces, covered, table, similarity) for similarity in (80.0, 90.0)]
    head = ("from", "one person, both bare", "one person, one masked", "strangers, one masked")
    section.tables.append((head, [row for row, _ in rows]))
    section.figures = {"matching": [figures for _, figures in rows]}
    if pack.pipeline.attributes is None:
        section.notes.append("The pack does not tell masks.")
        return section
    flag = _flag(pack, chosen, drawn, pictures)
    section.tables.append((("masks seen", "bare faces spared"), [(told(flag[0]), told(flag[1]))]))
    section.figures |= {"seen": flag[0].as_json(), "spared": flag[1].as_json()}
    return section


def _flag(
    pack: PackUnderTest,
    chosen: Sequence[tuple[Shot, Detections]],
    drawn: Sequence[Image],
    pictures: Pictures,
) -> tuple[Rate, Rate]:
    """Of the folders that were named, else of masks drawn."""
    if pictures.masked or pictures.bare:
        told_of = measures.masks(pack, pictures.masked, pictures.bare)
        if told_of is not None:
            return told_of.seen, told_of.spared
    reader = pack.pipeline.attributes
    seen = (
        [reader.read(i, f.points).masks[0] for i, (_, f) in zip(drawn, chosen, strict=True)]
        if reader
        else []
    )
    spared = [not reader.read(s.image, f.points).masks[0] for s, f in chosen] if reader else []
    return Rate(int(sum(seen)), len(seen)), Rate(int(sum(spared)), len(spared))


def _known(faces: Faces, covered: Sequence[Floats | None], table: Table, similarity: float) -> Row:
    cosine = table.calibration.cosine(similarity)
    people = np.array(faces.people)
    counts = np.zeros((3, 2), int)
    for row, masked in enumerate(covered):
        same = people == people[row]
        same[row] = False
        bare = faces.vectors @ faces.vectors[row]
        worn = np.full(len(people), -1.0) if masked is None else faces.vectors @ masked
        for at, (scores, which) in enumerate(
            ((bare, same), (worn, same), (worn, people != people[row]))
        ):
            counts[at] += int((scores[which] >= cosine).sum()), int(which.sum())
    rates = [Rate(int(hits), int(trials)) for hits, trials in counts]
    row_told = (f"{similarity:g}", *(told(rate) for rate in rates))
    names = ("bare", "one_masked", "strangers_one_masked")
    figures = {name: rate.as_json() for name, rate in zip(names, rates, strict=True)}
    return row_told, {"similarity": similarity, **figures}


def pose(pack: PackUnderTest, faces: Faces) -> Section:
    """Roll of turned photos, and yaw in a mirror."""
    section = Section("Angles")
    chosen = list(zip(faces.shots, faces.found, strict=True))[:SEEN_AT_MOST]
    errors = {turn: _roll_errors(pack, chosen, turn) for turn in (-60, -30, -15, 15, 30, 60)}
    rows = [
        (f"{turn}", f"{np.median(some):.2f}" if some else "-", f"{len(some)} of {len(chosen)}")
        for turn, some in errors.items()
    ]
    section.tables.append((("turned by", "median error of roll, degrees", "faces found"), rows))
    yaws = [(pack.yaw(s.image, f), _mirrored_yaw(pack, s.image)) for s, f in chosen]
    turned_away = [(yaw, other) for yaw, other in yaws if other is not None and abs(yaw) >= 5.0]
    opposite = Rate(sum(yaw * other < 0 for yaw, other in turned_away), len(turned_away))
    section.tables.append(
        (("yaw of 5 degrees or more has the other sign in a mirror",), [(told(opposite),)])
    )
    section.figures = {
        "roll_median_error": {
            str(t): float(np.median(e)) if e else None for t, e in errors.items()
        },
        "yaw_opposite_in_a_mirror": opposite.as_json(),
    }
    return section


def _roll_errors(
    pack: PackUnderTest, chosen: Sequence[tuple[Shot, Detections]], turn: int
) -> list[float]:
    errors = []
    for shot, face in chosen:
        image, _ = _turned(pack, shot.image, face, turn=turn)
        found = pack.central_face(image)
        if found is not None:
            told_roll = rolls(found.points)[0] - rolls(face.points)[0] - turn
            errors.append(abs(float(wrapped(np.asarray(told_roll)))))
    return errors


def _mirrored_yaw(pack: PackUnderTest, image: Image) -> float | None:
    mirror = np.ascontiguousarray(image[:, ::-1])
    face = pack.central_face(mirror)
    return None if face is None else pack.yaw(mirror, face)


def spoofing(pack: PackUnderTest, pictures: Pictures, thresholds: dict[str, float]) -> Section:
    """Attacks accepted of each kind, and live faces refused (ISO/IEC 30107-3)."""
    section = Section("Live faces and shown ones (spoofing)")
    if not thresholds:
        section.notes.append("The pack has no spoofing networks.")
        return section
    if not pictures.live and not pictures.attacks:
        section.notes.append(
            "Not measured: name folders of live faces (--live) and attacks (--attacks)."
        )
        return section
    rows: list[Sequence[str]] = []
    for kind, paths in (("live faces", pictures.live), *pictures.attacks.items()):
        alive = measures.liveness(pack, paths, ())
        scores = alive.live if alive is not None else np.empty(0)
        for condition, threshold in thresholds.items():
            wrong = scores < threshold if kind == "live faces" else scores >= threshold
            rate = Rate(int(wrong.sum()), len(scores))
            what = "refused (BPCER)" if kind == "live faces" else "accepted (APCER)"
            rows.append((kind, condition, what, told(rate)))
            section.figures[f"{kind}, {condition}"] = rate.as_json()
    section.tables.append((("pictures", "spoofingCondition", "what", "share"), rows))
    return section


def speed(pack: PackUnderTest, faces: Faces) -> Section:
    """How long one picture takes on one thread, and the memory of this process."""
    section = Section("Speed and memory")
    if not faces.shots:
        section.notes.append("There is no photo with a face to time.")
        return section
    image, face = faces.shots[0].image, faces.found[0]
    steps: dict[str, Callable[[], object]] = {
        "find faces and points": lambda: pack.faces(image),
        "vector of one face": lambda: pack.pipeline.embedder.embed(image, face.points),
    }
    rows, figures = [], {}
    for name, step in steps.items():
        times = sorted(_timed(step) for _ in range(ROUNDS + 5))[:ROUNDS]
        middle, slow = times[ROUNDS // 2], times[int(0.95 * ROUNDS)]
        rows.append((name, f"{middle:.1f}", f"{slow:.1f}", f"{ROUNDS}"))
        figures[name] = {"median_ms": middle, "p95_ms": slow, "rounds": ROUNDS}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    section.notes.append(
        f"A picture of {image.shape[1]}x{image.shape[0]} px, one after the other, while whatever "
        f"else this machine does went on. This process took {peak:.0f} MiB at most."
    )
    section.tables.append((("step", "median, ms", "19 of 20 within, ms", "rounds"), rows))
    section.figures = {**figures, "peak_mib": peak}
    return section


def _timed(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - began)
