"""What `facereco doctor` looks at: each part of an installation, without changing any of it."""

import errno
import http.client
import os
import resource
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

from app.cli.auditing import keyset_of
from app.cli.process import OTHER_FILES
from app.domain.errors import ConfigurationError, FaceError, ModelUnavailable
from app.intake.addresses import AddressRules
from app.settings import MEBIBYTE, Settings
from app.storage.examining import Examined, examine, fits
from app.vision.manifests import Pack
from app.vision.packs import MODELS, FileState, PackCatalog

GIBIBYTE = 1024 * MEBIBYTE
# A server without a face takes about 300 MiB, its decoders as much again when pictures are large.
BASE_MEMORY = 700 * MEBIBYTE
SKEW = timedelta(seconds=5)
# No program of this project ran before.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class State(Enum):
    """How a check ended: a note can wait, a fault cannot."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what to do where it is not as it should be."""

    check: str
    state: State
    said: str
    advice: str = ""


@dataclass(frozen=True)
class Installation:
    """What the checks look at, each part read once."""

    settings: Settings

    @cached_property
    def database(self) -> Examined | None:
        """None where there is none yet. Raises `ConfigurationError`."""
        return examine(self.settings.database)

    @cached_property
    def catalog(self) -> PackCatalog:
        """Raises `ConfigurationError`."""
        return PackCatalog(MODELS, self.settings.model_path)


Outcome = tuple[State, str] | tuple[State, str, str]
Check = Callable[[Installation], Iterator[Outcome]]


def check_up(settings: Settings) -> Iterator[Finding]:
    """Every check in its turn."""
    installation = Installation(settings)
    for name in CHECKS:
        yield from findings(installation, name)


def findings(installation: Installation, name: str) -> list[Finding]:
    """What one check finds; one that cannot be made is a fault of its own."""
    check, advice = CHECKS[name]
    try:
        outcomes = list(check(installation))
    except (ConfigurationError, FaceError, OSError) as error:
        return [Finding(name, State.FAULT, str(error), advice)]
    fine = all(state is not State.FAULT for state, *_ in outcomes)
    return [Finding(name, *rest) for rest in outcomes if fine or rest[0] is not State.OK]


def _data(installation: Installation) -> Iterator[Outcome]:
    folder = installation.settings.data
    if not folder.exists():
        if folder.absolute().parent.is_dir():
            yield State.OK, f"{folder} is not there yet; the first start makes it"
        else:
            advice = "Mount it, or set FACERECO_DATA."
            yield State.FAULT, f"{folder}: its parent does not exist", advice
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        advice = "Run as the user the server runs as, or give that user the folder."
        yield State.FAULT, f"{folder} cannot be written", advice
    elif stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield State.NOTE, f"others may enter {folder}", f"chmod 700 {folder}"
    else:
        yield State.OK, f"{folder}, for its owner alone"


def _keyset(installation: Installation) -> Iterator[Outcome]:
    source = keyset_of(installation.settings)
    if source.exists():
        keyset = source.load()
        yield State.OK, f"{source}: primary key {keyset.primary}, keys in all: {len(keyset.keys)}"
        return
    with suppress(ConfigurationError):  # the next check tells
        if installation.database is not None and not installation.database.is_new:
            said = f"{source} is missing, and the database was written with one"
            advice = "Restore it from its backup: without it no stored face can be read."
            yield State.FAULT, said, advice
            return
    yield State.OK, f"{source} is not there yet; the first start makes it"


def _database(installation: Installation) -> Iterator[Outcome]:
    found = installation.database
    if found is None:
        yield State.OK, "not there yet; the first start makes it"
    elif found.damage:
        advice = "Stop the server, keep a copy, restore a backup: docs/backup.md."
        yield State.FAULT, f"SQLite finds the file damaged: {found.damage}", advice
    elif not found.current and not found.is_new:
        advice = "Take a backup, then start the server: it migrates what it finds."
        yield State.NOTE, f"{found.kind} with an older schema", advice
    else:
        yield State.OK, f"{found.kind}, groups: {found.groups}, faces: {found.faces}"


def _match(installation: Installation) -> Iterator[Outcome]:
    found, source = installation.database, keyset_of(installation.settings)
    if found is None or found.is_new or not found.current or not source.exists():
        yield State.OK, "nothing to compare yet"
        return
    fits(installation.settings.database, source.load())
    yield State.OK, "the database was written with this keyset"


def _keys(installation: Installation) -> Iterator[Outcome]:
    found = installation.database
    if found is None or found.is_new:
        yield State.OK, "the first start makes an appKey"
    elif found.current and not found.keys:
        advice = "./facereco keys create --name NAME"
        yield State.NOTE, "no appKey is in service: every request is refused", advice
    else:
        yield State.OK, f"appKeys in service: {found.keys}"


def _pack(installation: Installation) -> Iterator[Outcome]:
    pack = installation.catalog.get(installation.settings.model)
    if missing := _not_whole(installation, pack):
        advice = (
            "Put its files into a folder and name that in FACERECO_MODEL_PATH, "
            "or set FACERECO_MODEL to a pack that `./facereco models list` calls ready."
        )
        yield State.FAULT, f"{pack.name}: {missing}", advice
        return
    if not pack.commercial_use:
        advice = "./facereco models show says on what terms it may be used."
        yield State.NOTE, f"{pack.name} may not be used commercially", advice
    yield State.OK, f"{pack.name}, files with the right SHA-256: {len(list(pack.weights()))}"


def _models_of_groups(installation: Installation) -> Iterator[Outcome]:
    used = installation.database.models if installation.database else {}
    for version, count in used.items():
        try:
            missing = _not_whole(installation, installation.catalog.by_version(version))
        except ModelUnavailable:
            missing = "no pack here makes it"
        if missing:
            advice = "Bring that pack back (FACERECO_MODEL_PATH): requests there answer -50000."
            yield State.FAULT, f"model {version}, groups: {count}: {missing}", advice
    yield State.OK, f"model versions in use: {len(used)}"


def _not_whole(installation: Installation, pack: Pack) -> str:
    """What is wrong with the files of a pack; empty when nothing is."""
    broken = [f for f in installation.catalog.status(pack) if f.state is not FileState.OK]
    return ", ".join(f"{file.file} {file.state.value}" for file in broken)


def _providers(installation: Installation) -> Iterator[Outcome]:
    import onnxruntime

    from app.main.eyes import open_eyes

    began = time.monotonic()
    with ExitStack() as stack:
        open_eyes(installation.settings, stack).ready()
    took = time.monotonic() - began
    names = ", ".join(onnxruntime.get_available_providers())
    yield State.OK, f"the pack loads and runs in {took:.1f} s (installed: {names})"


def _spoofing(installation: Installation) -> Iterator[Outcome]:
    pack = installation.catalog.get(installation.settings.model)
    if pack.spoofing_points is None:
        advice = "Requests that ask for it answer -50000; docs/spoofing.md names packs that can."
        yield State.NOTE, f"{pack.name} cannot tell live faces", advice
    else:
        yield State.OK, f"{pack.name} tells live faces"


def _decoder(_installation: Installation) -> Iterator[Outcome]:
    from app.intake.decoders import Decoders

    decoders = Decoders(1)
    try:
        decoders.check()
    finally:
        decoders.close()
    yield State.OK, "a decoder process starts"


def _clock(installation: Installation) -> Iterator[Outcome]:
    now, synchronise = datetime.now(UTC), "Synchronise the clock (chrony, systemd-timesyncd)."
    found = installation.database
    if now < EARLIEST:
        yield State.FAULT, f"it says {now:%Y-%m-%d}", synchronise
    if found is not None and abs(found.skew) > SKEW:
        yield State.FAULT, f"the database's differs by {abs(found.skew)}", synchronise
    if found is not None and found.newest is not None and found.newest > now + SKEW:
        yield State.FAULT, f"something was made {found.newest - now} from now", synchronise
    yield State.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC; createTime in {installation.settings.time_zone}"


def _disk(installation: Installation) -> Iterator[Outcome]:
    folder = _existing(installation.settings.data.absolute())
    free, inodes = shutil.disk_usage(folder).free, os.statvfs(folder).f_favail
    said = f"{free / GIBIBYTE:.1f} GiB free at {folder}"
    advice = "Make room: a full disk refuses what is registered or deleted; searches go on."
    if free < 100 * MEBIBYTE or (0 < inodes < 1000):
        yield State.FAULT, f"{said}, {inodes} inodes", advice
    elif free < GIBIBYTE:
        yield State.NOTE, said, advice
    else:
        yield State.OK, said


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _limits(installation: Installation) -> Iterator[Outcome]:
    settings = installation.settings
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.connections + OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        advice = f"Raise the limit (ulimit -Hn {wanted}), or lower FACERECO_CONNECTIONS."
        yield State.NOTE, f"{hard} open files allowed, {wanted} may be needed", advice
    need, have = settings.index_memory + settings.body_memory + BASE_MEMORY, _memory()
    if need > have:
        fitting = max(MEBIBYTE, have - settings.body_memory - BASE_MEMORY) // MEBIBYTE * MEBIBYTE
        advice = f"FACERECO_INDEX_MEMORY={fitting}, or more memory."
        yield State.NOTE, f"{_gib(have)} of memory, {_gib(need)} may be used", advice
    yield State.OK, f"{len(os.sched_getaffinity(0))} cores, {_gib(have)} of memory"


def _memory() -> int:
    """Bytes this process may use: the machine's, or its container's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # "max" is no number
        return min(machine, int(CGROUP_LIMIT.read_text()))
    return machine


def _gib(count: int) -> str:
    return f"{count / GIBIBYTE:.1f} GiB"


def _network(installation: Installation) -> Iterator[Outcome]:
    settings = installation.settings
    AddressRules.of(settings.url_ports, map(str, settings.url_allow))
    host, port = settings.host, settings.port
    if not _is_loopback(host):
        advice = "Put a proxy with TLS in front: keys and pictures cross the network in clear."
        yield State.NOTE, f"the server listens on {host}, in clear HTTP", advice
    try:
        with socket.create_server((host, port)):
            yield State.OK, f"port {port} is free"
    except OSError as error:
        yield _taken(host, port, error)


def _taken(host: str, port: int, error: OSError) -> Outcome:
    advice = "Set FACERECO_PORT, or FACERECO_HOST, to what is free."
    if error.errno != errno.EADDRINUSE:
        return State.FAULT, f"cannot listen on {host} port {port}: {error.strerror}", advice
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return State.FAULT, f"port {port} is taken by something else", advice
    finally:
        connection.close()
    if status == http.client.OK:
        return State.OK, f"a server answers on port {port} and is ready"
    look = f"curl -s http://{host}:{port}/readyz says which part; its check here says why."
    return State.FAULT, f"what answers on port {port} is not ready (HTTP {status})", look


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


CHECKS: Mapping[str, tuple[Check, str]] = MappingProxyType(
    {
        "data folder": (_data, "Set FACERECO_DATA."),
        "keyset": (
            _keyset,
            "docs/keys.md says what it must be; or restore its backup.",
        ),
        "database": (_database, "Check FACERECO_DATABASE_URL, and that the database runs."),
        "keyset and database": (_match, "Find the keyset this database was written with."),
        "keys": (_keys, "See the database above."),
        "model pack": (_pack, "Check FACERECO_MODEL and FACERECO_MODEL_PATH."),
        "models of groups": (_models_of_groups, "See the database and the model pack above."),
        "providers": (_providers, "Check FACERECO_MODEL; reinstall the packages if it persists."),
        "spoofing": (_spoofing, "Check FACERECO_MODEL and FACERECO_MODEL_PATH."),
        "decoder": (
            _decoder,
            "A decoder needs memfd_create, and room for 1.3 GiB.",
        ),
        "clock": (_clock, "See the database above."),
        "disk": (_disk, "Set FACERECO_DATA to a folder that can be reached."),
        "limits": (_limits, ""),
        "network": (_network, "Correct FACERECO_URL_PORTS and FACERECO_URL_ALLOW."),
    }
)
"""Each with what to do when it cannot even be made."""
