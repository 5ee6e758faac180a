"""Memory that two processes have in common."""

import fcntl
import os


def sealed_memory(name: str, size: int) -> int:
    """A descriptor of `size` bytes that no file holds; `name` is for who looks into `/proc`.

    Sealed, so that no other process can shrink what the server reads: that would end the server.
    Raises OSError.
    """
    memory = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, size)
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    return memory
