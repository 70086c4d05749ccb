"""Small programs beside a test, as processes of their own: they say `ready`, wait for `go`, and end with their counts.

A caller is a script that prints `ready`, reads a line, does what it does (and may print a line `runs` meanwhile), and
prints its counts as one JSON object.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent

Start = Callable[..., Awaitable[Process]]


@asynccontextmanager
async def callers_in(folder: Path) -> AsyncIterator[Start]:
    """Starts scripts of this folder, and waits until each is ready; what still runs in the end is killed."""
    started: list[Process] = []

    async def start(script: str, *arguments: object) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(folder / script),
            *map(str, arguments),
            stdin=PIPE,
            stdout=PIPE,
            env={"PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        assert await read_line(process) == "ready"
        return process

    try:
        yield start
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def read_line(process: Process) -> str:
    """What it prints next."""
    assert process.stdout is not None
    async with asyncio.timeout(40):
        return (await process.stdout.readline()).decode().strip()


def go(process: Process) -> None:
    """Let it do what it does."""
    assert process.stdin is not None
    process.stdin.write(b"go\n")


async def last_words(process: Process) -> dict[str, int]:
    """The counts a caller prints, after any `runs`."""
    while (line := await read_line(process)) == "runs":
        pass
    counts: dict[str, int] = json.loads(line)
    return counts
