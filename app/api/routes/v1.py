"""The routes of /nhn-face-reco/v1.0; which revision answers is a matter of the appKey."""

from fastapi import FastAPI

from app.api import operations
from app.api.calls import open_v1
from app.api.paths import APP_KEY
from app.api.routes import table

PREFIX = f"/nhn-face-reco/v1.0/appkeys/{APP_KEY}"

ROUTES: table.Routes = (
    ("POST", "/groups", operations.create_group),
    ("GET", "/groups", operations.list_groups),
    ("GET", "/groups/{groupId}", operations.group_details),
    ("DELETE", "/groups/{groupId}", operations.delete_group),
    ("POST", "/detect", operations.detect),
    ("POST", "/groups/{groupId}", operations.register),
    ("DELETE", "/groups/{groupId}/faces/{faceId}", operations.delete_face),
    ("GET", "/groups/{groupId}/faces", operations.list_faces),
    ("GET", "/groups/{groupId}/faces/{faceId}", operations.search_by_face),
    ("POST", "/groups/{groupId}/search", operations.search_by_image),
    ("POST", "/compare", operations.compare),
    ("POST", "/verify/groups/{groupId}/faces/{faceId}", operations.verify),
    ("POST", "/spoofing", operations.spoofing),
)


def install(app: FastAPI) -> None:
    """Serve the routes above under their prefix."""
    table.install(app, PREFIX, ROUTES, open_v1)
