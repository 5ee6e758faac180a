"""Where a keyset comes from, and how a running server notices that it changed."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock
from typing import Protocol

import structlog

from app.domain.errors import ConfigurationError, KeyServiceUnavailable, StoreUnavailable
from app.domain.ports import KeyWrapper
from app.storage.keysets import Keyset, create_private, named, read_private, replace_private
from app.storage.wrapping import closed, opened

_log = structlog.stdlib.get_logger(__name__)

# Before a source that could not be reached is asked again.
_PATIENCE_SECONDS = 5.0


class KeysetSource(Protocol):
    """Holds one keyset. Its text names it for an operator."""

    def stamp(self) -> object:
        """Differs once the keyset may have changed; cheap enough to be asked all the time."""
        ...

    def exists(self) -> bool:
        """Whether there is a keyset already, sound or not."""
        ...

    def load(self) -> Keyset:
        """Raises `ConfigurationError`."""
        ...

    def create(self, keyset: Keyset) -> None:
        """Store a first keyset; one that is there is left alone. Raises `ConfigurationError`."""
        ...

    def replace(self, keyset: Keyset) -> None:
        """Store a changed keyset, whole or not at all. Raises `ConfigurationError`."""
        ...

    def changing(self) -> AbstractContextManager[None]:
        """Nobody else changes the keyset by this program meanwhile. Raises `ConfigurationError`."""
        ...


class KeysetFile:
    """Satisfies `KeysetSource` with the file `path`, which a key service may keep closed."""

    def __init__(self, path: Path, wrapper: KeyWrapper | None = None) -> None:
        self.path = path
        self._wrapper = wrapper

    def __str__(self) -> str:
        return str(self.path)

    def stamp(self) -> object:
        try:
            status = self.path.lstat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def exists(self) -> bool:
        # A link that leads nowhere, or a folder we may not enter, is refused by `load`; neither
        # is taken for a missing file.
        try:
            self.path.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def load(self) -> Keyset:
        with named(self.path):
            return Keyset.parse(opened(read_private(self.path), self._wrapper))

    def create(self, keyset: Keyset) -> None:
        create_private(self.path, closed(keyset.content(), self._wrapper))

    def replace(self, keyset: Keyset) -> None:
        replace_private(self.path, closed(keyset.content(), self._wrapper))

    @contextmanager
    def changing(self) -> Iterator[None]:
        with locked_folder(self.path.parent):
            yield


class KeysetText:
    """Satisfies `KeysetSource` with a text that is `named` somewhere and cannot be changed."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text

    def __str__(self) -> str:
        return self._name

    def stamp(self) -> object:
        return None

    def exists(self) -> bool:
        return True

    def load(self) -> Keyset:
        with named(self._name):
            return Keyset.parse(self._text.encode(errors="surrogateescape"))

    def create(self, keyset: Keyset) -> None:
        self.replace(keyset)

    def replace(self, _keyset: Keyset) -> None:
        raise ConfigurationError(f"{self._name} cannot be changed from here; use a keyset file")

    @contextmanager
    def changing(self) -> Iterator[None]:
        yield


def keyset_source(path: Path, text: str | None, wrapper: KeyWrapper | None) -> KeysetSource:
    """The file `path`, wrapped if there is a wrapper, unless the keyset is given as `text`."""
    return KeysetFile(path, wrapper) if text is None else KeysetText("FACERECO_KEYSET_JSON", text)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Wait until no other process is in here; one that dies lets go by itself.

    Raises `ConfigurationError`.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationError(f"folder {folder}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class LiveKeyset:
    """Satisfies `MasterKeys` with a keyset that follows its source.

    Asked for a key it looks whether the source changed. What `accept` refuses, and what cannot be
    read, leaves the keyset as it was, so that a slip of an editor never stops a running server.

    Args:
        source: where the keyset comes from.
        keyset: what it held when `stamp` was taken.
        stamp: of the source, taken before it was read.
        accept: raises `ConfigurationError` for a keyset this server could not work with.
    """

    def __init__(
        self,
        source: KeysetSource,
        keyset: Keyset,
        stamp: object,
        accept: Callable[[Keyset], None],
    ) -> None:
        self._source = source
        self._keyset = keyset
        self._stamp = stamp
        self._accept = accept
        self._retry_at = 0.0
        self._lock = Lock()

    @property
    def primary(self) -> str:
        return self._current().primary

    def enabled(self, key_id: str) -> bytes | None:
        return self._current().enabled(key_id)

    def _current(self) -> Keyset:
        if self._source.stamp() != self._stamp and time.monotonic() >= self._retry_at:
            with self._lock:
                self._reload(self._source.stamp())
        return self._keyset

    def _reload(self, stamp: object) -> None:
        if stamp == self._stamp:
            return  # another thread was faster
        try:
            keyset = self._source.load()
            self._accept(keyset)
        except (StoreUnavailable, KeyServiceUnavailable) as error:
            self._retry_at = time.monotonic() + _PATIENCE_SECONDS
            _log.warning("keyset_not_read", reason=str(error))
        except ConfigurationError as error:
            self._stamp = stamp
            _log.error("keyset_refused", reason=str(error))
        else:
            self._keyset, self._stamp = keyset, stamp
            _log.info("keyset_reloaded", primary=keyset.primary, keys=len(keyset.keys))
