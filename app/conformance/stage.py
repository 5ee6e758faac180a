"""The groups a check makes for itself in a server, with a few faces, and takes away again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from secrets import token_hex
from typing import Any

from app.conformance.documents import Route
from app.conformance.http import UNREACHED, Answer, Request, Server
from app.conformance.pictures import base64, crowd

EXTERNAL_ID = "image01.jpg"
ABSENT_FACE = "9297db50-d4f2-c6b8-ea05-edf2013089fd"
NAME = "facereco-check-"
ENROLLED = 3  # faces of the crowd that are registered; the others are not added
NO_MODELS = -50000
REFUSED = frozenset({-41000, -41005})
NOT_FOUND = "NotFoundGroupError"
ATTEMPTS = 3  # how often a group is asked to go


class Stage:
    """What one server holds for a check: two groups of its own, faces in the first of them."""

    def __init__(self, server: Server, registering: Route | None, spoofing: Route | None) -> None:
        """The routes that register faces and tell who is alive, where there are any."""
        self.server = server
        self.spoofs = True
        self._registering = registering
        self._spoofing = spoofing
        self.made: list[str] = []
        self._faces = Answer()
        self.group = self.unused_group()
        self.spare = self.unused_group()

    def prepare(self) -> Answer:
        """Make the groups, register the crowd twice so that every face has its twin, ask for life.

        The answer to the very first request, which tells whether there is anybody to ask.
        """
        if self._registering is None:
            self.made.clear()
            return self._ask_for_life()
        first = self._create(self.group)
        if first.problem == UNREACHED or first.code in REFUSED:
            self.made.clear()
        elif first.problem is None:
            self._create(self.spare)
            self._faces = self.register()
            self.register()
            self._ask_for_life()
        return first

    def _ask_for_life(self) -> Answer:
        """Note whether this server has models that tell who is alive."""
        if self._spoofing is None:
            return Answer()
        body = {"image": {"bytes": base64(crowd())}}
        answer = self.server.ask(Request("POST", self._spoofing.path, body=body))
        self.spoofs = answer.code != NO_MODELS
        return answer

    @property
    def face_id(self) -> str:
        """A registered face that others look like."""
        return self._faces.text("addedFaces", 0, "faceId") or ABSENT_FACE

    @property
    def image_id(self) -> str:
        """The picture that face came from."""
        return self._faces.text("addedFaces", 0, "imageId") or ABSENT_FACE

    @cached_property
    def absent_group(self) -> str:
        """The id of a group that was never made."""
        return NAME + token_hex(8)

    def unused_group(self, length: int = 0) -> str:
        """An id no group has, to be taken away if there is one at the end."""
        group = (NAME + token_hex(8)).ljust(length, "0")
        self.made.append(group)
        return group

    def new_group(self) -> str:
        """A group made for one request."""
        group = self.unused_group()
        self._create(group)
        return group

    def new_face(self) -> str:
        """A face registered for one request."""
        return self.register().text("addedFaces", 0, "faceId") or ABSENT_FACE

    def register(self) -> Answer:
        """Register the crowd in the group."""
        if self._registering is None:
            return Answer()
        path = self._registering.path.replace("{groupId}", self.group)
        body = {
            "image": {"bytes": base64(crowd())},
            "limit": ENROLLED,
            "externalImageId": EXTERNAL_ID,
        }
        return self.server.ask(Request("POST", path, body=body))

    def next_token(self, path: str, query: Mapping[str, Any]) -> str:
        """The token behind the first page of a list."""
        page = self.server.ask(Request("GET", path, {**query, "limit": 1}))
        return page.text("nextToken") or ""

    def remove(self) -> None:
        """Delete the groups that were made, until one would not go."""
        while self.made and self._gone(self.made[-1]):
            self.made.pop()

    def _create(self, group: str) -> Answer:
        return self.server.ask(Request("POST", "/groups", body={"groupId": group}))

    def _gone(self, group: str) -> bool:
        for _ in range(ATTEMPTS):
            answer = self.server.ask(Request("DELETE", f"/groups/{group}"))
            if answer.code == 0 or answer.header.get("resultMessage") == NOT_FOUND:
                return True
        return False


@contextmanager
def open_stage(stage: Stage, left: list[str]) -> Iterator[Stage]:
    """A stage that is cleared at the end whatever happens; `left` receives what would not go."""
    try:
        yield stage
    finally:
        try:
            stage.remove()
        finally:
            left += stage.made
