"""From the domain's values to the contract's fields."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.api.revisions import Revision
from app.api.services import Presentation
from app.domain.values import Box, Face, FaceRecord, Group, Orientation, Point
from app.services.compare import ComparedFace
from app.services.search import Match

LANDMARKS = ("leftEye", "rightEye", "nose", "leftLip", "rightLip")
DECIMALS = 6

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders in one presentation and revision."""

    presentation: Presentation
    revision: Revision

    def detail(self, face: Face) -> Fields:
        """A face of the request's picture; what was not asked for is left out."""
        fields: Fields = {
            "bbox": _box(face.box),
            "landmarks": [
                {"type": name, **_point(point)}
                for name, point in zip(LANDMARKS, face.landmarks, strict=True)
            ],
        }
        if face.orientation is not None:
            fields["orientation"] = _orientation(face.orientation)
        if face.mask is not None:
            fields["mask"] = face.mask
        if face.spoofing is not None:
            fields["spoofing"] = face.spoofing
        fields["confidence"] = self._confidence(face.confidence)
        return fields

    def crop(self, spoof: bool) -> Fields:  # noqa: FBT001 - the one thing known of it
        """A face the caller aligned: nobody looked for it, so it has no place."""
        nowhere = dict.fromkeys(("x0", "y0", "x1", "y1"), 0)
        return {"bbox": nowhere, "landmarks": [], "spoofing": spoof, "confidence": 0}

    def source(self, face: Face) -> Fields:
        """The face a search or comparison started from."""
        fields = self.detail(face)
        if self.revision.source_details:
            return fields
        return {name: fields[name] for name in ("bbox", "confidence")}

    def stored(self, face: FaceRecord) -> Fields:
        """A registered face; an externalImageId that was not given is left out."""
        fields: Fields = {
            "bbox": _box(face.box),
            "confidence": self._confidence(face.confidence),
            "faceId": face.face_id,
            "imageId": face.image_id,
        }
        if face.external_image_id is not None:
            fields["externalImageId"] = face.external_image_id
        return fields

    def match(self, match: Match) -> Fields:
        return {"face": self.stored(match.face), "similarity": match.similarity}

    def compared(self, other: ComparedFace) -> Fields:
        return {"faceDetail": self.detail(other.face), "similarity": other.similarity}

    def group(self, group: Group) -> Fields:
        """A group as the list shows it."""
        fields: Fields = {"groupId": group.id}
        if self.revision.model_version:
            fields["modelVersion"] = group.model
        return fields

    def group_details(self, group: Group) -> Fields:
        return {
            **self.group(group),
            "createTime": self._time(group.created),
            "faceCount": group.face_count,
        }

    def _confidence(self, confidence: float) -> float:
        return round(confidence * self.presentation.confidence_scale / 100, DECIMALS)

    def _time(self, moment: datetime) -> str:
        local = moment.astimezone(self.presentation.time_zone)
        return local.strftime("%Y-%m-%dT%H:%M:%S")


def _box(box: Box) -> Fields:
    return {"x0": box.x0, "y0": box.y0, "x1": box.x1, "y1": box.y1}


def _point(point: Point) -> Fields:
    return {"x": point.x, "y": point.y}


def _orientation(turn: Orientation) -> Fields:
    return {
        "x": round(turn.yaw, DECIMALS),
        "y": round(turn.pitch, DECIMALS),
        "z": round(turn.roll, DECIMALS),
    }
