"""What the routes need of the house, handed to them by main."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

from app.api.bodies import Bodies
from app.api.guesses import Guesses
from app.domain.ports import AuditTrail, HealthProbe, KeyRegistry, Observer
from app.domain.values import PackStatus
from app.services.compare import CompareFaces
from app.services.detect import DetectFaces
from app.services.faces import Faces
from app.services.groups import Groups
from app.services.line import Line
from app.services.register import RegisterFaces
from app.services.search import SearchFaces
from app.services.spoofing import JudgeAligned
from app.services.verify import VerifyFace
from app.telemetry.audit import NoTrail
from app.telemetry.observers import Nobody


@dataclass(frozen=True, slots=True)
class Presentation:
    """How values look on the wire: the zone of createTime, and 100 or 1 for full confidence."""

    time_zone: tzinfo
    confidence_scale: int = 100


@dataclass(frozen=True, slots=True)
class Services:
    """One use case each, and the probes behind readyz; the server is ready without `optional`.

    `packs` and `versions` are what the console tells of the server.
    """

    keys: KeyRegistry
    line: Line
    groups: Groups
    faces: Faces
    detect: DetectFaces
    register: RegisterFaces
    search: SearchFaces
    compare: CompareFaces
    verify: VerifyFace
    judge_aligned: JudgeAligned
    probes: Sequence[HealthProbe]
    presentation: Presentation
    optional: Sequence[HealthProbe] = ()
    bodies: Bodies = field(default_factory=Bodies)
    audit: AuditTrail = field(default_factory=NoTrail)
    guesses: Guesses = field(default_factory=Guesses)
    observer: Observer = field(default_factory=Nobody)
    packs: Callable[[], Sequence[PackStatus]] = tuple  # blocking: call it off the event loop
    versions: Mapping[str, str] = field(default_factory=dict)
