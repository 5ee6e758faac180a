"""What the operating system is told about this process."""

import resource

# Beside its connections a server has files, databases, pipes and downloads open.
OTHER_FILES = 1024


def leave_no_core() -> None:
    """No core dump: it would hold keys, vectors and pictures in clear."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def open_files(connections: int) -> None:
    """Allow as many open files as so many connections need, or as many as the system grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
