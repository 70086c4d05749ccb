"""What tests of the whole application may ask for besides.

browser  a fresh headless Chromium for one test, as playwright's asyncio `Browser`; mark such tests `browser`
serve    starts an ASGI application on a free port of 127.0.0.1 and gives its origin; stopped after the test
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from starlette.types import ASGIApp

from tests.browsing import browser  # noqa: F401 — a fixture
from tests.rig import rig, running_sandbox  # noqa: F401 - fixtures
from tests.serving import Serve, served


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts applications that run as long as the test."""
    async with AsyncExitStack() as running:

        async def start(app: ASGIApp) -> str:
            return await running.enter_async_context(served(app))

        yield start
