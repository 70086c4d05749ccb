"""A headless Chromium for tests: `from tests.browsing import browser` in a conftest.py or a test file.

CHROMIUM names the program where it is not on PATH. Without one the tests skip with a warning; where REQUIRE_CHROMIUM
is set they fail.
"""

import os
import shutil
import warnings
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

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
    """A browser with a profile of its own; mark tests that ask for it `browser`."""
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
