"""The small pieces JSON schemas are put together from."""

from typing import Any

JsonSchema = dict[str, Any]


def closed(required: JsonSchema, optional: JsonSchema | None = None) -> JsonSchema:
    """An object with these fields and no other."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


def listed(items: JsonSchema, **bounds: int) -> JsonSchema:
    """An array of `items`; `bounds` are minItems and maxItems."""
    return {"type": "array", "items": items, **bounds}


def ref(name: str) -> JsonSchema:
    """A schema of the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def whole(low: int, high: int | None = None) -> JsonSchema:
    """A whole number low..high."""
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return {"type": "integer", **bounds}


def text(description: str, **more: object) -> JsonSchema:
    """A string."""
    return {"type": "string", "description": description, **more}
