"""Which model packs there are, where their weight files lie, and that those are what they claim."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from app.domain.calibration import Calibration, Table, read_table
from app.domain.errors import ConfigurationError, ModelUnavailable
from app.domain.values import ModelVersion
from app.vision.manifests import MANIFEST, Pack, Weights, load_manifest, one_line

MODELS = Path(__file__).parents[2] / "models"
"""The packs that come with the clone."""

# Without labelled pairs nobody knows where strangers end: a plain line, which `models show` says.
UNCALIBRATED = Calibration((-1.0, 1.0), (0.0, 100.0))


class FileState(Enum):
    """What became of looking for a weight file."""

    OK = "ok"
    MISSING = "missing"
    WRONG_HASH = "wrong hash"


@dataclass(frozen=True, slots=True)
class FileStatus:
    """One weight file of a pack: where it was found, and whether its content is the manifest's."""

    file: str
    state: FileState
    path: Path | None


class PackCatalog:
    """The packs of `models_dir`, and of folders an operator adds.

    An added folder may hold packs, be a pack itself, or hold loose weight files, also one level
    down: a folder of weights without a manifest serves every known pack whose hashes it matches.

    Of several packs of one name the first is what the name means; the others, such as the weights
    of an earlier release, are found by their model version, so that the groups made with them live.

    Raises:
        ConfigurationError: a folder is missing, a manifest is wrong, or two of one model version
            differ in what they say of it.
    """

    def __init__(self, models_dir: Path, extra_paths: Sequence[Path] = ()) -> None:
        self._roots = [models_dir, *extra_paths]
        self._named: dict[str, Pack] = {}
        self._versions: dict[ModelVersion, Pack] = {}
        for root in self._roots:
            for path in _manifests(root):
                self._add(load_manifest(path))

    def _add(self, pack: Pack) -> None:
        self._named.setdefault(pack.name, pack)
        known = self._versions.setdefault(pack.model_version, pack)
        if known != pack:
            raise ConfigurationError(
                f"two model packs are named {pack.name!r}: {known.folder} and {pack.folder}"
            )

    def packs(self) -> list[Pack]:
        """Every pack by name, also those whose weights are not here; what the name means first."""
        return sorted(self._versions.values(), key=lambda p: (p.name, self.called(p) != p.name))

    def called(self, pack: Pack) -> str:
        """What `get` finds it by: its name, or its model version where another has the name."""
        return pack.name if self._named[pack.name] is pack else pack.model_version

    def get(self, name: str) -> Pack:
        """The pack of a name or a model version.

        Raises:
            ConfigurationError: there is none.
        """
        pack = self._named.get(name) or self._versions.get(ModelVersion(name))
        if pack is None:
            known = ", ".join(sorted(self._named)) or "none"
            raise ConfigurationError(
                f"no model pack is named {name!r} (known: {known}); set FACERECO_MODEL"
            )
        return pack

    def by_version(self, version: ModelVersion) -> Pack:
        """Raises `ModelUnavailable` when no pack makes vectors of this version."""
        try:
            return self._versions[version]
        except KeyError:
            raise ModelUnavailable from None

    def read(self, pack: Pack, weights: Weights) -> tuple[Path, bytes]:
        """A weight file and its content, the hash checked.

        The bytes checked are the bytes returned, so nothing can be exchanged in between.

        Raises:
            ConfigurationError: the file is nowhere, or is not what the manifest says.
        """
        wrong: Path | None = None
        for path in self._candidates(pack, weights.file):
            content = _content(path)
            if hashlib.sha256(content).hexdigest() == weights.sha256:
                return path, content
            wrong = wrong or path
        raise _not_usable(pack, weights, wrong)

    def find(self, pack: Pack, weights: Weights) -> FileStatus:
        """Look for one weight file, reading and hashing what is found."""
        wrong: Path | None = None
        for path in self._candidates(pack, weights.file):
            if _digest(path) == weights.sha256:
                return FileStatus(weights.file, FileState.OK, path)
            wrong = wrong or path
        state = FileState.WRONG_HASH if wrong else FileState.MISSING
        return FileStatus(weights.file, state, wrong)

    def status(self, pack: Pack) -> list[FileStatus]:
        """Each weight file of `pack`; all `FileState.OK` means that the pack can be used."""
        return [self.find(pack, weights) for weights in pack.weights()]

    def table(self, pack: Pack) -> Table:
        """The pack's table; a straight line where its manifest names none.

        Raises:
            ConfigurationError: the table is missing or not a calibration.
        """
        if pack.calibration is None:
            return Table(UNCALIBRATED, None)
        return _table(pack.folder / pack.calibration.file)

    def _candidates(self, pack: Pack, file: str) -> Iterator[Path]:
        folders = [pack.folder]
        for root in self._roots:
            folders += [root, *_subfolders(root)]
        yield from dict.fromkeys(path for folder in folders if (path := folder / file).is_file())


def _manifests(root: Path) -> list[Path]:
    if not root.is_dir():
        raise ConfigurationError(f"model folder {root} does not exist (FACERECO_MODEL_PATH)")
    return [path for folder in [root, *_subfolders(root)] if (path := folder / MANIFEST).is_file()]


def _subfolders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"weight file {path}: {one_line(error)}") from error


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"weight file {path}: {one_line(error)}") from error


def _not_usable(pack: Pack, weights: Weights, wrong: Path | None) -> ConfigurationError:
    if wrong is None:
        trouble = f"weight file {weights.file} is missing; name its folder in FACERECO_MODEL_PATH"
    else:
        trouble = f"weight file {wrong} is not the one the manifest names (SHA-256 differs)"
    return ConfigurationError(f"model pack {pack.name!r}: {trouble}")


def _table(path: Path) -> Table:
    try:
        return read_table(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"calibration {path}: {one_line(error)}") from error
