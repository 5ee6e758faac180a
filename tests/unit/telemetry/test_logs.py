"""What breaks where nobody looks is logged without what it was about."""

import json
import subprocess
import sys

import pytest

CANARY = "kanarienvogel7391"

BREAKS = {
    "in the main thread": "raise ValueError(secret)",
    "in another thread": """
thread = threading.Thread(target=lambda: int(secret))
thread.start()
thread.join()""",
    "in a task nobody waited for": """
async def broken():
    raise ValueError(secret)
async def main():
    asyncio.ensure_future(broken())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
asyncio.run(main())
gc.collect()""",
    "in a callback": """
async def main():
    asyncio.get_running_loop().call_soon(int, secret)
    await asyncio.sleep(0.01)
asyncio.run(main())""",
    "while it is thrown away": """
class Broken:
    def __del__(self):
        raise ValueError(secret)
Broken()""",
    "as a library logs it": """
try:
    int(secret)
except ValueError as error:
    logging.getLogger("library").exception("it was %s: %s", secret, error)""",
    "as a library notes it": 'logging.getLogger(secret[:0] + "library").error(secret)',
    "as a warning": "warnings.warn(secret, stacklevel=1)",
    "beside another": """
try:
    int(secret)
except ValueError as error:
    raise KeyError(secret) from error""",
}
START = f"""
import asyncio, gc, logging, threading, warnings
from app.telemetry import logs
logs.configure("debug")
secret = "{CANARY}"
"""


@pytest.fixture(scope="module")
def logged():
    """What each break leaves on standard error."""
    running = {
        name: subprocess.Popen([sys.executable, "-c", START + script], stderr=subprocess.PIPE)
        for name, script in BREAKS.items()
    }
    return {name: process.communicate()[1].decode() for name, process in running.items()}


@pytest.mark.parametrize("name", BREAKS)
def test_whatever_breaks_is_told_by_name_alone(name, logged):
    lines = [json.loads(line) for line in logged[name].splitlines()]

    assert lines
    assert CANARY not in logged[name]
    assert all("level" in line for line in lines)


def test_the_kind_and_the_way_through_the_code_are_told(logged):
    [line] = logged["in the main thread"].splitlines()
    told = json.loads(line)

    assert (told["event"], told["kind"], told["way"]) == ("uncaught", "ValueError", ["__main__:6"])
