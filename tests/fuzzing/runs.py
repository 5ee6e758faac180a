"""Lets schemathesis make up requests from an exported document and looks at every answer."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pybase64
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.hooks import HookContext
from schemathesis.schemas import BaseSchema
from schemathesis.transport.serialization import Binary

from tests.fuzzing import checks

# Those of its checks that fit as they are. Not among them: status_code_conformance, since a path
# with an empty variable is another path and ours are stricter there; allow_header_conformance,
# since `DELETE …/faces/search` deletes a face called search, so that path allows more than its own
# operation; ignored_auth, use_after_free and their like, which ask by themselves and read statuses.
THEIRS = (
    "not_a_server_error",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
)
PICTURE_FIELDS = frozenset({"image", "sourceImage", "targetImage", "compareImage"})
FILE_PARTS = frozenset({"imageFile", "compareImageFile", "sourceImageFile", "targetImageFile"})
WHOLE_NUMBERS = frozenset({"limit", "threshold"})
OFTEN = 0.7


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what exists that can be asked for."""

    app_key: str
    headers: Mapping[str, str]
    groups: Sequence[str]
    faces: Sequence[str]
    pictures: Sequence[str]


@dataclass(slots=True)
class Outcome:
    """What came of a run: requests sent, checks made, codes answered, what was wrong."""

    document: str
    seconds: float = 0.0
    requests: int = 0
    checks: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        codes = "  ".join(f"{code}: {count}" for code, count in sorted(self.codes.items()))
        told = [
            f"{self.document}: {self.requests} requests in {self.seconds:.0f} s, {self.checks}"
            f" checks, {len(self.failures)} failures",
            f"  answered {codes}",
            *(f"  {failure}" for failure in self.failures[:20]),
        ]
        return "\n".join(told)


def over_network(base: str, document: str, caller: Caller, limits: Mapping[str, Any]) -> Outcome:
    """Ask a server; `limits` are settings of schemathesis."""
    config = SchemathesisConfig.from_dict(_config(caller, limits))
    schema = schemathesis.openapi.from_url(f"{base}/openapi/{document}.json", config=config)
    return run(schema, document, caller)


def in_process(
    app: object, document: str, caller: Caller, limits: Mapping[str, Any], *, only: str = ""
) -> Outcome:
    """Ask an application; `only` paths that this pattern finds."""
    config = SchemathesisConfig.from_dict(_config(caller, limits))
    schema = schemathesis.openapi.from_asgi(f"/openapi/{document}.json", app, config=config)
    return run(schema.include(path_regex=only), document, caller)


def run(schema: BaseSchema, document: str, caller: Caller) -> Outcome:
    """Every phase that is switched on, to its end."""
    schema.hook("map_body")(_mending(caller.pictures))
    began, outcome = time.monotonic(), Outcome(document)
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished(recorder=recorder):
                _count(outcome, recorder)
            case events.NonFatalError() | events.FatalError():
                outcome.failures.append(
                    f"the run itself broke: {event!r}: {getattr(event, 'info', '')}"
                )
            case _:
                pass
    outcome.seconds = time.monotonic() - began
    return outcome


def _count(outcome: Outcome, recorder: ScenarioRecorder) -> None:
    outcome.requests += len(recorder.interactions)
    outcome.checks += sum(map(len, recorder.checks.values()))
    for interaction in recorder.interactions.values():
        if interaction.response is not None and interaction.response.status_code == 200:
            outcome.codes[checks.result_code(interaction.response)] += 1
    outcome.failures += _failures(recorder)


def _failures(recorder: ScenarioRecorder) -> Iterator[str]:
    for made in recorder.checks.values():
        for check in made:
            if check.failure_info is not None:
                told = check.failure_info.failure
                sent = check.failure_info.code_sample[:600]
                yield f"{recorder.label}: {told.title}: {told.message}: {sent}"


def _config(caller: Caller, limits: Mapping[str, Any]) -> dict[str, Any]:
    on = {"enabled": True}
    names = (*THEIRS, *(check.__name__ for check in checks.OURS))
    return {
        "headers": dict(caller.headers),
        "continue-on-failure": True,
        "checks": {"enabled": False, **dict.fromkeys(names, on)},
        "dictionaries": {
            "groups": {"values": list(caller.groups)},
            "faces": {"values": list(caller.faces)},
        },
        "parameters": {"path.appKey": caller.app_key, **dict(_drawn())},
        **limits,
    }


def _drawn() -> Iterable[tuple[str, dict[str, object]]]:
    """Where values that exist come in, so that requests get past the first question."""
    yield "path.groupId", {"dictionary": "groups", "probability": OFTEN}
    yield "path.faceId", {"dictionary": "faces", "probability": OFTEN}
    yield "body.groupId", {"dictionary": "groups", "probability": OFTEN}


def _mending(pictures: Sequence[str]) -> Callable[[HookContext, object], object]:
    """Half of all texts that stand for a picture become one; 4.0 becomes 4.

    JSON Schema takes 4.0 for a whole number, our bodies want it written as one.
    """

    def map_body(context: HookContext, body: object) -> object:
        if not isinstance(body, dict):
            return body
        for name in WHOLE_NUMBERS & body.keys():
            if isinstance(body[name], float) and body[name].is_integer():
                body[name] = int(body[name])
        for name in PICTURE_FIELDS & body.keys():
            _show(body[name], pictures)
        for name in (FILE_PARTS | PICTURE_FIELDS) & body.keys():
            body[name] = _file(body[name], pictures)
        return body

    return map_body


def _show(image: object, pictures: Sequence[str]) -> None:
    if isinstance(image, dict) and isinstance(text := image.get("bytes"), str):
        image["bytes"] = _chosen(text, pictures)


def _file(content: object, pictures: Sequence[str]) -> object:
    """What is made up as a file; anything else is wrong on purpose and stays."""
    if not isinstance(content, Binary):
        return content
    made_up = content.data.hex()
    chosen = _chosen(made_up, pictures)
    return content if chosen == made_up else Binary(pybase64.b64decode(chosen))


def _chosen(text: str, pictures: Sequence[str]) -> str:
    """Always the same for the same text, or a failure could not be repeated."""
    which, left_alone = divmod(sum(map(ord, text)), 2)
    return text if left_alone else pictures[which % len(pictures)]
