"""Every metric there is: its name, what it measures, and what tells its series apart.

No label holds a tenant, a group, a face, an address or anything else a client chose.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a metric is to Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """`name` as it is scraped; of a histogram without `_bucket`, `_sum` and `_count`."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()


REQUESTS = Metric(
    "facereco_requests_total",
    Kind.COUNTER,
    "Requests answered, by route template, HTTP status and the contract's code.",
    ("method", "route", "status", "code"),
)
REQUEST_SECONDS = Metric(
    "facereco_request_seconds",
    Kind.HISTOGRAM,
    "Seconds from a request's headers to its whole answer.",
    ("method", "route"),
)
REQUESTS_RUNNING = Metric(
    "facereco_requests_running", Kind.GAUGE, "Requests that are being answered just now."
)
REFUSALS = Metric(
    "facereco_refusals_total",
    Kind.COUNTER,
    "Requests answered with an error, by its kind.",
    ("reason",),
)
STAGE_SECONDS = Metric(
    "facereco_stage_seconds",
    Kind.HISTOGRAM,
    "Seconds a part of a request took.",
    ("stage",),
)
CORRUPT_RECORDS = Metric(
    "facereco_corrupt_records_total",
    Kind.COUNTER,
    "Stored faces met that do not authenticate; each is left out, the others are served.",
)
PROBE_UP = Metric(
    "facereco_probe_up", Kind.GAUGE, "Whether a probe of readyz passes: 1 or 0.", ("probe",)
)
INFO = Metric(
    "facereco_info", Kind.GAUGE, "1; says which server and model this is.", ("version", "model")
)

FED = (
    REQUESTS,
    REQUEST_SECONDS,
    REQUESTS_RUNNING,
    REFUSALS,
    STAGE_SECONDS,
    CORRUPT_RECORDS,
    PROBE_UP,
    INFO,
)
"""Told when something happens."""

READ = (
    Metric("facereco_line_lanes", Kind.GAUGE, "Pictures that may be at work at a time."),
    Metric("facereco_line_working", Kind.GAUGE, "Pictures at work, or decoded ahead of it."),
    Metric("facereco_line_waiting", Kind.GAUGE, "Pictures in line."),
    Metric("facereco_body_bytes", Kind.GAUGE, "Bytes of request bodies kept just now."),
    Metric("facereco_downloads_running", Kind.GAUGE, "Image URLs being fetched."),
    Metric("facereco_guessing_sources", Kind.GAUGE, "Sources of wrong keys remembered."),
    Metric(
        "facereco_decoder_deaths_total",
        Kind.COUNTER,
        "Decoder processes that died or were late, and were replaced.",
    ),
    Metric("facereco_workers", Kind.GAUGE, "Processes there are that analyse pictures."),
    Metric(
        "facereco_worker_deaths_total",
        Kind.COUNTER,
        "Processes that analysed pictures and ended by themselves, or hung.",
    ),
    Metric("facereco_index_groups", Kind.GAUGE, "Groups in memory."),
    Metric("facereco_index_faces", Kind.GAUGE, "Faces in memory, all groups."),
    Metric("facereco_index_bytes", Kind.GAUGE, "Bytes of vectors in memory, all groups."),
    Metric("facereco_index_limit_bytes", Kind.GAUGE, "Bytes there may be: FACERECO_INDEX_MEMORY."),
    Metric("facereco_index_loads_total", Kind.COUNTER, "Groups read whole from the database."),
    Metric("facereco_index_load_seconds_total", Kind.COUNTER, "Seconds that took, all together."),
    Metric("facereco_index_evictions_total", Kind.COUNTER, "Groups that left memory to make room."),
    Metric(
        "facereco_index_catch_ups_total",
        Kind.COUNTER,
        "Times a group in memory was behind the database and read what had changed.",
    ),
    Metric(
        "facereco_index_lag_versions_total",
        Kind.COUNTER,
        "By how many changes those were behind, all together.",
    ),
    Metric(
        "facereco_index_follow_age_seconds",
        Kind.GAUGE,
        "Seconds since the groups in memory were last compared with those of the database.",
    ),
    Metric("facereco_index_audits_total", Kind.COUNTER, "Groups whose index an audit looked at."),
    Metric(
        "facereco_index_drifts_total",
        Kind.COUNTER,
        "Groups whose index differed from the database, and was loaded anew.",
    ),
    Metric("facereco_audit_failures_total", Kind.COUNTER, "Audit records the disk did not take."),
    Metric("facereco_upkeep_failures_total", Kind.COUNTER, "Rounds of upkeep put off."),
    Metric("facereco_database_bytes", Kind.GAUGE, "Bytes of the SQLite file with its journal."),
    Metric("facereco_disk_free_bytes", Kind.GAUGE, "Bytes free where the data folder is."),
)
"""Read when somebody scrapes; where there is nothing to read, the metric is left out."""

METRICS = (*FED, *READ)
