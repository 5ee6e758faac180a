"""What metrics read where the rooms keep it."""

import shutil
from collections.abc import Mapping

from app.api.bodies import Bodies
from app.api.guesses import Guesses
from app.index.audit import IndexAudit
from app.index.faiss_indexes import FaissIndexes
from app.index.following import Follower
from app.services.line import Line
from app.settings import Settings
from app.storage.stores import Storage
from app.storage.upkeep import Upkeep
from app.telemetry.audit import NoTrail, Trail
from app.telemetry.metrics import Reading


def of_requests(
    line: Line, bodies: Bodies, guesses: Guesses, trail: Trail | NoTrail
) -> Mapping[str, Reading]:
    """How many wait and work, and with how much."""
    return {
        "facereco_line_lanes": lambda: line.lanes,
        "facereco_line_working": lambda: line.working,
        "facereco_line_waiting": lambda: line.waiting,
        "facereco_body_bytes": lambda: bodies.held,
        "facereco_guessing_sources": lambda: guesses.sources,
        "facereco_audit_failures_total": lambda: trail.failures,
    }


def of_index(index: FaissIndexes, follower: Follower, audit: IndexAudit) -> Mapping[str, Reading]:
    """What is in memory, and how it got there."""
    moves = index.moves
    return {
        "facereco_index_groups": lambda: index.groups,
        "facereco_index_faces": lambda: index.faces,
        "facereco_index_bytes": lambda: index.nbytes,
        "facereco_index_limit_bytes": lambda: index.memory_limit,
        "facereco_index_loads_total": lambda: moves.loads,
        "facereco_index_load_seconds_total": lambda: moves.load_seconds,
        "facereco_index_evictions_total": lambda: moves.evictions,
        "facereco_index_catch_ups_total": lambda: moves.catch_ups,
        "facereco_index_lag_versions_total": lambda: moves.lag_versions,
        "facereco_index_follow_age_seconds": lambda: follower.age,
        "facereco_index_audits_total": lambda: audit.looked,
        "facereco_index_drifts_total": lambda: audit.rebuilt,
    }


def of_storage(settings: Settings, storage: Storage, upkeep: Upkeep) -> Mapping[str, Reading]:
    """The disk, and what keeps the database small."""
    return {
        "facereco_upkeep_failures_total": lambda: upkeep.failures,
        "facereco_database_bytes": lambda: storage.database.nbytes,
        "facereco_disk_free_bytes": lambda: shutil.disk_usage(settings.data).free,
    }


def of_processes(
    decoder_deaths: Reading, workers: Reading = int, worker_deaths: Reading = int
) -> Mapping[str, Reading]:
    """How many work, and how many were lost."""
    return {
        "facereco_decoder_deaths_total": decoder_deaths,
        "facereco_workers": workers,
        "facereco_worker_deaths_total": worker_deaths,
    }
