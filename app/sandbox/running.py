"""A sandbox that runs, and the hand on it: for contract tests, fault programmes and benchmarks."""

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import uvicorn

from app.sandbox.server import create_sandbox
from app.serving import KEEP_ALIVE

START_SECONDS = 10


def _real_time() -> datetime:
    return datetime.now(UTC)


class SandboxHand:
    """The control API of a sandbox that serves at `url`; `http` is a client of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def reset(self) -> None:
        """As on the first day."""
        self.http.post("/control/reset").raise_for_status()

    def turn(self, **knobs: object) -> None:
        """Change knobs, see `app.sandbox.knobs`."""
        self.http.post("/control/knobs", json=knobs).raise_for_status()

    def advance(self, *, seconds: float) -> None:
        """Move the platforms' time on."""
        self.http.post("/control/clock", json={"advance_seconds": seconds}).raise_for_status()

    def arm(self, route: str, **fault: object) -> None:
        """Arm a fault, see `app.sandbox.faults`."""
        self.http.post("/control/faults", json={"route": route, **fault}).raise_for_status()

    def token_for(self, platform: str, account_id: str) -> str:
        """A working access token of an account that is there."""
        answer = self.http.post("/control/accounts", json={"platform": platform, "id": account_id})
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    def count(self, caption: str) -> int:
        """How often people see this caption (or title)."""
        number: int = self.http.get("/control/publications/count", params={"caption": caption}).json()["count"]
        return number


class RunningSandbox(SandboxHand):
    """`with RunningSandbox() as sandbox:` serves in a thread of this process, on a port of its own."""

    def __init__(self, *, journal: Path | None = None, now: Callable[[], datetime] = _real_time, port: int = 0) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        super().__init__(f"http://127.0.0.1:{self._socket.getsockname()[1]}")
        app = create_sandbox(public_url=self.url, journal=journal, now=now)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=KEEP_ALIVE,  # uvicorn's 5 s end just when a busy test goes on
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.http.get("/control/clock", timeout=START_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(START_SECONDS)
        self._socket.close()
