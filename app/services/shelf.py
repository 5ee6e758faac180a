"""Photos by the names a customer may have given them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from app.domain.values import Photo


class PhotoShelf:
    """Finds the photos that a label may mean, and knows which were of use."""

    def __init__(self, photos: Iterable[Photo]) -> None:
        self._photos = list(photos)
        self._unused = {photo.name: photo for photo in self._photos}
        self._by_file: dict[str, list[Photo]] = defaultdict(list)
        self._by_stem: dict[str, list[Photo]] = defaultdict(list)
        self._by_folder: dict[str, list[Photo]] = defaultdict(list)
        for photo in self._photos:
            path = PurePosixPath(photo.name)
            self._by_file[path.name].append(photo)
            self._by_stem[path.stem].append(photo)
            self._by_folder[path.parent.name].append(photo)

    def of(self, group_id: str, label: str) -> Sequence[Photo]:
        """The photos called `label`: the file, or without its ending, or else those of a folder.

        Where some of them lie in a folder called like the group, only those.
        """
        named = (by.get(label) for by in (self._by_file, self._by_stem, self._by_folder))
        found = next((photos for photos in named if photos), [])
        inside = [photo for photo in found if group_id in PurePosixPath(photo.name).parts[:-1]]
        return inside or found

    def use(self, photo: Photo) -> None:
        """Note that a photo belongs to a face."""
        self._unused.pop(photo.name, None)

    @property
    def unused(self) -> Sequence[Photo]:
        """The photos that belong to no face, in their order."""
        return list(self._unused.values())
