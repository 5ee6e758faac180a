"""The exported documents, read as the guides' tables are written."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from app.api.openapi.document import rendered
from app.conformance.documents import Route

JSON, FORM = "application/json", "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Told:
    """What a document says of one field; `required` reaches all the way up."""

    type: str
    required: bool
    bounds: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document."""

    document: dict[str, Any]
    told: dict[str, Any]

    @property
    def query(self) -> dict[str, Told]:
        return {
            p["name"]: _told(p["schema"], required=p["required"])
            for p in self.told["parameters"]
            if p["in"] == "query"
        }

    def body(self, media: str) -> dict[str, Told]:
        """The fields of a body, or nothing where it does not come so."""
        content = self.told.get("requestBody", {"content": {}})["content"]
        return dict(self._fields(content[media]["schema"], "")) if media in content else {}

    @property
    def answer(self) -> dict[str, Told]:
        """The fields of a success, the header left out."""
        first, *_ = self._ways
        found = dict(self._fields(first, ""))
        return {name: told for name, told in found.items() if name.startswith("data.")}

    @property
    def codes(self) -> set[tuple[int, str]]:
        """Every code but those of success."""
        headers = (way["properties"]["header"]["properties"] for way in self._ways)
        told = {(h["resultCode"]["const"], h["resultMessage"]["const"]) for h in headers}
        return {entry for entry in told if entry[0] != 0}

    @property
    def examples(self) -> dict[str, Any]:
        """Whole answers, by the name of what they are an example of."""
        return {name: shown["value"] for name, shown in self._content["examples"].items()}

    @property
    def validator(self) -> Draft202012Validator:
        """Holds a whole answer against the document."""
        return self.holding(self._content["schema"])

    def holding(self, schema: dict[str, Any]) -> Draft202012Validator:
        """Holds a value against a schema of the document."""
        whole = {**schema, "components": self.document["components"]}
        return Draft202012Validator(whole)

    @property
    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = self.told["responses"]["200"]["content"][JSON]
        return content

    @property
    def _ways(self) -> list[dict[str, Any]]:
        return [self._resolved(way) for way in self._content["schema"]["oneOf"]]

    def _fields(
        self, schema: dict[str, Any], path: str, *, required: bool = True
    ) -> Iterator[tuple[str, Told]]:
        schema = self._resolved(schema)
        if path:
            yield path, _told(schema, required=required)
        if "items" in schema:
            below = list(self._fields(schema["items"], f"{path}[]", required=required))
            yield from below[1:]
            return
        for name, field in _properties(schema).items():
            needed = required and name in _needed(schema)
            below_it = f"{path}.{name}" if path else name
            yield from self._fields(field, below_it, required=needed)

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in schema:
            return schema
        found: dict[str, Any] = self.document["components"]["schemas"]
        return self._resolved(found[schema["$ref"].rpartition("/")[2]])


@cache
def read_document(revision: str) -> dict[str, Any]:
    """The document of a revision as a client receives it."""
    document: dict[str, Any] = json.loads(rendered(revision))
    return document


def operation_of(route: Route) -> Operation:
    """What the document of its revision says of a documented route."""
    document = read_document(route.revision)
    path = f"{route.prefix}/{{appKey}}{route.path}"
    return Operation(document, document["paths"][path][route.method.lower()])


def operations(revision: str) -> Iterator[tuple[str, str, Operation]]:
    """Every operation of a document with its method and path."""
    document = read_document(revision)
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield method.upper(), path, Operation(document, told)


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    """The fields of an object; of one that can be said in two ways, those of both."""
    named = dict(schema.get("properties", {}))
    for way in schema.get("oneOf", ()):
        named |= {n: f for n, f in way.get("properties", {}).items() if f.get("type") != "null"}
    return named


def _needed(schema: dict[str, Any]) -> set[str]:
    """What must be there; one of a pair of alternatives counts, as it does in the tables."""
    groups = [schema, *schema.get("allOf", ())]
    ways = [way for group in groups for way in group.get("oneOf", ())]
    return {name for each in (schema, *ways) for name in each.get("required", ())}


def _told(schema: dict[str, Any], *, required: bool) -> Told:
    bounds = (schema["minimum"], schema["maximum"]) if "maximum" in schema else None
    return Told(_type(schema), required, bounds)


def _type(schema: dict[str, Any]) -> str:
    """As the tables name it."""
    if schema.get("format") == "binary":
        return "file"
    if "contentEncoding" in schema:
        return "blob"
    if "enum" in schema:
        return "string"
    either = [way["type"] for way in schema.get("anyOf", ()) if way["type"] != "null"]
    plain: str = schema["type"] if "type" in schema else either[0] if either else "const"
    return {"integer": "int", "number": "float", "boolean": "bool"}.get(plain, plain)
