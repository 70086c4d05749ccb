"""The Redis server: started, and asked whether it answers."""

import signal
from pathlib import Path
from urllib.parse import quote

from app.embedded.binaries import find_redis
from app.embedded.children import Child, start_child
from app.embedded.ownership import RunningServer
from app.embedded.placement import Placement
from app.embedded.sockets import ask
from app.embedded.users import make_private


class Redis:
    """Redis in `place.folder/redis`, its socket in `sockets`."""

    def __init__(self, *, place: Placement, sockets: Path, log: Path, durable: bool) -> None:
        self._place = place
        self._program = find_redis(place)
        self._sockets = sockets
        self._log = log
        self._durable = durable
        self._folder = place.folder / "redis"

    def start(self, *, held_open: int) -> Child:
        """Start the server on the data it wrote before, if any."""
        make_private(self._folder, self._place.user)
        return start_child(
            [self._program, *self._settings()],
            name="Redis",
            user=self._place.user,
            folder=self._folder,
            log=self._log,
            stop_signal=signal.SIGTERM,
            held_open=held_open,
        )

    def socket(self) -> Path:
        """Where it listens."""
        return self._sockets / "redis.sock"

    def url(self) -> str:
        """Where to connect."""
        return f"unix://{quote(str(self.socket()))}?db=0"

    @staticmethod
    def answers(running: RunningServer) -> bool:
        """Whether it answers; while it still loads its data it says LOADING instead of PONG."""
        return ask(running.socket, b"PING\r\n", pid=running.process.pid).startswith(b"+PONG")

    def _settings(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket()),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
            "databases": "64",
        }
        return [part for name, value in settings.items() for part in (f"--{name}", value)]
