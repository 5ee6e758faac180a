"""What the operating system is told about a process, tried on processes."""

import platform
import subprocess
import sys

import pytest

# Buffers of a large request, side by side and again and again: how many pages the system hands out
# once the first of them are there.
SCRIPT = """
import resource
from app.cli.process import keep_freed_memory

def rounds(count):
    for _ in range(count):
        some = [bytes(3_000_000) for _ in range(4)]
        del some

{first}
rounds(3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
rounds(20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages_handed_out(first):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(first=first)],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_memory_that_was_freed_is_ready_for_the_next_large_request():
    kept = pages_handed_out("keep_freed_memory()")

    assert kept < 100
    assert pages_handed_out("pass") > 10 * max(kept, 1)
