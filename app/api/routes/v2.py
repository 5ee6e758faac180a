"""The routes of /v2.0; every appKey may call them with its secretKey."""

from fastapi import FastAPI

from app.api import operations
from app.api.calls import open_v2
from app.api.paths import APP_KEY
from app.api.routes import table

PREFIX = f"/v2.0/appkeys/{APP_KEY}"

ROUTES: table.Routes = (
    ("POST", "/groups", operations.create_group),
    ("GET", "/groups", operations.list_groups),
    ("GET", "/groups/{groupId}", operations.group_details),
    ("DELETE", "/groups/{groupId}", operations.delete_group),
    ("POST", "/faces/detect", operations.detect),
    ("POST", "/groups/{groupId}/faces", operations.register),
    ("DELETE", "/groups/{groupId}/faces/{faceId}", operations.delete_face),
    ("GET", "/groups/{groupId}/faces", operations.list_faces),
    ("GET", "/groups/{groupId}/faces/{faceId}/search", operations.search_by_face),
    ("POST", "/groups/{groupId}/faces/search", operations.search_by_image),
    ("POST", "/faces/compare", operations.compare),
    ("POST", "/groups/{groupId}/faces/{faceId}/verify", operations.verify),
    ("POST", "/spoofing/faces", operations.spoofing),
)


def install(app: FastAPI) -> None:
    """Serve the routes above under their prefix."""
    table.install(app, PREFIX, ROUTES, open_v2)
