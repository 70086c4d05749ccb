"""What signals do to a process, seen from outside."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parent.parent.parent
DRAINING = """
import asyncio
from app.shutdown import stop_on_signals
async def main():
    stop = stop_on_signals()
    print("ready", flush=True)
    await stop.wait()
    await asyncio.sleep(0.8)
asyncio.run(main())
"""
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", *sys.argv[1:], str(os.getpid())])
print(child.pid, flush=True)
child.wait()
"""
CHILD = (
    """
import os, sys, time
from app.shutdown import end_with_parent
while sys.argv[1] == "late" and os.getppid() == int(sys.argv[2]):
    time.sleep(0.01)
end_with_parent(int(sys.argv[2]))
"""
    + DRAINING
)


@contextmanager
def draining(*before: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that needs most of a second to end in good order, and says when it listens."""
    command = [*before, sys.executable, "-c", DRAINING]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_one_wish_heard_twice_is_one_wish(number: signal.Signals) -> None:
    """`timeout make run` tells make and the whole group, and make passes it on."""
    with draining() as process:
        process.send_signal(number)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_second_wish_ends_it_on_the_spot() -> None:
    """Whoever presses Ctrl-C again means now."""
    with draining() as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.4)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_nohup_outlives_its_terminal() -> None:
    """The terminal's end is not ours then."""
    with draining("nohup") as process:
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
@pytest.mark.parametrize("when", ["in time", "late"])
def test_a_killed_parent_takes_its_child_along(when: str) -> None:
    """A kill -9 of `make` is a SIGTERM for what it runs, also where that has hardly begun."""
    command = [sys.executable, "-c", PARENT, CHILD, when]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        if when == "in time":
            assert parent.stdout.readline() == b"ready\n"
        os.kill(parent.pid, signal.SIGKILL)
    child.wait(10)
