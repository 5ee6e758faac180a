"""What a pack does on this machine and on these pictures: a page that stands on its own, and JSON.

    python -m benchmarks.evidence --out evidence --pack open --weights FOLDER --people lfw

Without any folder it is made of the few pictures that come with the packages.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from app import __version__
from app.domain.errors import ConfigurationError
from app.domain.values import SpoofingCondition
from app.vision.manifests import Pack
from app.vision.packs import MODELS, PackCatalog
from benchmarks.evidence import sections
from benchmarks.evidence.page import Section, page
from benchmarks.evidence.pictures import Pictures, builtin, people_of
from models.training.labels import read_boxes
from models.training.measures import pictures_below
from models.training.packs import PackUnderTest

LIBRARIES = ("onnxruntime", "numpy", "opencv-python-headless", "pillow", "faiss-cpu")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="facereco evidence", description=__doc__.splitlines()[0])
    made.add_argument("--out", type=Path, required=True, help="folder for index.html and JSON")
    made.add_argument("--pack", default="starter", help="the pack that is measured")
    made.add_argument("--weights", type=Path, action="append", default=[], help="where weights lie")
    made.add_argument("--people", type=Path, help="a folder for each person, with photos")
    made.add_argument("--most-people", type=int, default=500, help="people taken at most")
    made.add_argument("--photos-each", type=int, default=4, help="photos of everybody at most")
    made.add_argument("--boxes", type=Path, help="labelled boxes in the format of WIDER")
    made.add_argument("--boxes-photos", type=Path, help="folder of their photos")
    for name in ("masked", "bare", "live"):
        made.add_argument(f"--{name}", type=Path, nargs="+", default=[], help=f"folders: {name}")
    made.add_argument(
        "--attacks", type=Path, nargs="+", default=[], help="folders of attacks, one of each kind"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    try:
        pictures = pictures_of(asked)
        made = list(report(asked, pictures))
        write(asked.out, asked.pack, made)
    except (ConfigurationError, OSError, ValueError) as error:
        sys.stderr.write(f"facereco: {error}\n")
        return 2
    sys.stdout.write(f"{asked.out / 'index.html'}\n")
    return 0


def pictures_of(asked: argparse.Namespace) -> Pictures:
    """What was named; without any people those of the packages. Raises `ValueError`."""
    people = people_of(asked.people, asked.most_people, asked.photos_each) if asked.people else {}
    if asked.people and not people:
        raise ValueError(f"{asked.people} has no folder of photos for each person")
    boxes = {}
    if asked.boxes:
        boxes = read_boxes(asked.boxes, asked.boxes_photos or asked.boxes.parent)
    return Pictures(
        people=people,
        boxes=boxes,
        masked=_below(asked.masked),
        bare=_below(asked.bare),
        live=_below(asked.live),
        attacks={f"attacks, {folder.name}": _below([folder]) for folder in asked.attacks},
        builtin=() if people else builtin(),
    )


def _below(folders: Sequence[Path]) -> tuple[Path, ...]:
    found = tuple(path for folder in folders for path in pictures_below(folder))
    if folders and not found:
        raise ValueError(f"there is no picture in {', '.join(map(str, folders))}")
    return found


def report(asked: argparse.Namespace, pictures: Pictures) -> Iterator[Section]:
    """Every section; what takes long says so on standard error."""
    catalog = PackCatalog(MODELS, asked.weights)
    described, table = catalog.get(asked.pack), catalog.table(catalog.get(asked.pack))
    yield machine(described, pictures)
    pack = PackUnderTest.open(asked.pack, MODELS, tuple(asked.weights))
    faces = sections.faces_of(pack, pictures)
    steps: dict[str, Callable[[], Section]] = {
        "verification": lambda: sections.verification(faces, table),
        "identification": lambda: sections.identification(faces, table),
        "detection": lambda: sections.detection(pack, faces, pictures),
        "masks": lambda: sections.masks(pack, faces, pictures, table),
        "angles": lambda: sections.pose(pack, faces),
        "spoofing": lambda: sections.spoofing(pack, pictures, thresholds(described)),
        "speed": lambda: sections.speed(pack, faces),
    }
    for name, step in steps.items():
        sys.stderr.write(f"{name} …\n")
        yield step()
    yield licences(catalog)


def thresholds(pack: Pack) -> dict[str, float]:
    """From which chance of life on a face is live, by condition; empty without networks."""
    points = pack.spoofing_points
    if points is None:
        return {}
    return {c.value: points.at(c.value).threshold for c in SpoofingCondition}


def machine(pack: Pack, pictures: Pictures) -> Section:
    """What was measured, on what, and when."""
    section = Section("What this is")
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    figures = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "facereco": __version__,
        "pack": pack.name,
        "model version": pack.model_version,
        "pictures": pictures.said,
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.machine()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": libraries,
    }
    section.tables.append((("", ""), [(name, str(value)) for name, value in figures.items()]))
    section.notes.append(
        "Rates stand with their interval at 95 % and the number of trials. They hold for people "
        "and pictures like these."
    )
    section.figures = dict(figures)
    return section


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def licences(catalog: PackCatalog) -> Section:
    """On what terms each pack may be used."""
    section = Section("Licences of the packs")
    rows = [
        (pack.name, pack.licence, "allowed" if pack.commercial_use else "not allowed")
        for pack in catalog.packs()
    ]
    section.tables.append((("pack", "licence", "commercial use"), rows))
    section.figures = {name: [licence, use] for name, licence, use in rows}
    return section


def write(out: Path, pack: str, made: Sequence[Section]) -> None:
    """index.html and evidence.json."""
    out.mkdir(parents=True, exist_ok=True)
    title = f"Evidence for pack {pack}"
    (out / "index.html").write_text(page(title, made), encoding="utf-8")
    figures = {section.title: section.figures for section in made}
    (out / "evidence.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
