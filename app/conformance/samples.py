"""The guides' own request samples, sent as printed: ids, keys and pictures put in, nothing else."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.conformance.cases import Addresses, Case, is_spoofing
from app.conformance.documents import Field, read_samples, walk
from app.conformance.fields import Expected
from app.conformance.forms import Form, Part, form
from app.conformance.http import Request
from app.conformance.pictures import base64, crowd
from app.conformance.requests import path_of
from app.conformance.stage import EXTERNAL_ID, Stage

PICTURE = re.compile(r'"url"\s*:\s*"https://\.\.\."')
KINDS = {
    str: "string",
    bool: "boolean",
    int: "float",
    float: "float",
    dict: "object",
    list: "array",
}

Sample = Mapping[str, Any]


def samples_of(revision: str, addresses: Addresses) -> Iterator[Case]:
    """Every sample of a revision's guide, with the answer printed beside it."""
    for sample in read_samples(revision):
        yield _case(sample, addresses)


def _case(sample: Sample, addresses: Addresses) -> Case:
    _, _, target = sample["target"].partition("{appKey}")
    target = target.replace("{group-id}", "{groupId}").replace("{face-id}", "{faceId}")
    path, _, query = target.partition("?")
    body = " (form)" if "form" in sample else ""
    header = sample["response"]["header"]

    def build(stage: Stage) -> Request:
        filled = path_of(sample["method"], path, stage)
        printed = _query(query, filled, stage)
        return Request(sample["method"], filled + printed, body=_body(sample, stage, addresses))

    return Case(
        f"{sample['method']} {path}{body}",
        f"sample{f' ?{query}' if query else ''}{_flaw(sample)}",
        build,
        Expected(
            header["resultCode"],
            header["resultMessage"],
            _fields(sample["response"]),
            # Who stands on the operator's own picture nobody knows.
            empty=addresses.image is not None,
        ),
        spoofs=header["resultCode"] == 0 and _spoofs(sample, path),
    )


def _spoofs(sample: Sample, path: str) -> bool:
    return is_spoofing(path) or '"spoofing": true' in str(sample["body"])


def _flaw(sample: Sample) -> str:
    return ", printed with a mistake" if "reason" in sample else ""


def _query(printed: str, path: str, stage: Stage) -> str:
    """The query as printed, with its braces filled."""
    if not printed:
        return ""
    values = {"limit": "1", "threshold": "90", "external-image-id": EXTERNAL_ID}
    if "{next-token}" in printed:
        values["next-token"] = stage.next_token(path, {})
    for name, value in values.items():
        printed = printed.replace(f"{{{name}}}", value)
    return f"?{printed}"


def _body(sample: Sample, stage: Stage, addresses: Addresses) -> Form | str | None:
    if "form" in sample:
        return form([_part(part) for part in sample["form"]])
    if sample["body"] is None:
        return None
    body = str(sample["body"])
    if '"my-group"' in body:
        # Somebody's own group may be called so: it must neither be met nor removed.
        body = body.replace("my-group", stage.unused_group())
    if addresses.image is not None:
        return body.replace("https://...", addresses.image)
    return PICTURE.sub(f'"bytes": "{base64(crowd())}"', body)


def _part(printed: Mapping[str, str]) -> Part:
    if "file" in printed:
        return Part(printed["name"], crowd(), printed["file"])
    return Part(printed["name"], printed["value"].encode())


def _fields(response: Mapping[str, Any]) -> dict[str, Field]:
    """The fields of a printed answer, with the types that the values show."""
    if "data" not in response:
        return {}
    return {
        place: Field(place, KINDS[type(value)], required=True, bounds=None, example="")
        for place, value in walk(response["data"], "data")
        if not place.endswith("[]") and place != "data"
    }
