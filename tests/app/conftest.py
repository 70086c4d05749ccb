"""What tests of the whole application may ask for besides.

    browser  a fresh headless Chromium for one test, as playwright's asyncio `Browser`; mark such tests `browser`
    serve    starts an ASGI application on a free port of 127.0.0.1 and gives its origin; stopped after the test

CHROMIUM names the program where it is not on PATH. Without one the tests skip with a warning; where REQUIRE_CHROMIUM
is set they fail.
"""

import os
import shutil
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from playwright.async_api import Browser, async_playwright
from starlette.types import ASGIApp

from tests.serving import Serve, served

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Nothing but the page talks to the network."""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser with a profile of its own."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=find_chromium(), headless=True, args=QUIET)
        yield started
        await started.close()


def find_chromium() -> str:
    """The program, or a skip that nobody overlooks."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is not None:
        return found
    missing = "no Chromium on this machine: what a browser shows is NOT tested"
    if os.environ.get("REQUIRE_CHROMIUM"):
        pytest.fail(missing)
    warnings.warn(pytest.PytestWarning(missing), stacklevel=2)
    pytest.skip(missing)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts applications that run as long as the test."""
    async with AsyncExitStack() as running:

        async def start(app: ASGIApp) -> str:
            return await running.enter_async_context(served(app))

        yield start
