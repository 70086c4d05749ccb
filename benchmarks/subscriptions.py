"""What a thousand watchers cost: `python -m benchmarks.subscriptions [viewers]`.

A server of its own process, `serve` as it is deployed, with as many sockets as there are viewers, each watching its
viewer's posts. Printed are the memory that the sockets take (resident, beyond the same server's without them), how soon
each is told when all posts change in one moment, and what telling costs the server. The watchers are as thin as can be,
for they share the machine.
"""

import asyncio
import base64
import os
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx
import orjson
import psutil
import uvloop
from sqlalchemy import insert

from app.embedded import EmbeddedServers, Endpoints
from app.migrating import migrate_database
from app.processes import open_container
from app.settings import Settings
from services.backends.transactions import Transaction
from services.domain.accounts import AccountStatus, Platform
from services.domain.credentials import mint_api_key
from services.domain.ids import new_id
from services.domain.posts import TargetStatus
from services.domain.viewers import Role, Scope
from services.models import ACCOUNTS, KEYS, POSTS, TARGETS, USERS
from services.queries.states import settle_posts

WATCH = "subscription { postsChanged { id caption status version targets { id status account { handle } } } }"
PORT = 8765
_PING, _PONG = 0x89, 0x8A
TOGETHER = 100
"""Posts that one transaction changes."""


class Watcher(asyncio.Protocol):
    """One socket: asks, and notes when it is told."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._buffer = b""
        self.told = 0
        self.told_at = 0.0
        self.refused = 0
        self.fault = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is one
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.startswith(b"HTTP/"):
            _, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._buffer = rest
            self._say({"type": "connection_init", "payload": {"authorization": f"Bearer {self._token}"}})
        while len(self._buffer) >= 2:
            length, head = self._buffer[1], 2
            if length == 126:
                if len(self._buffer) < 4:
                    return
                (length,), head = struct.unpack("!H", self._buffer[2:4]), 4
            if len(self._buffer) < head + length:
                return
            if self._buffer[0] == _PING:
                self._transport.write(bytes([_PONG, 0x80 | length]) + b"\0\0\0\0" + self._buffer[head : head + length])
            else:
                self._hear(self._buffer[head : head + length])
            self._buffer = self._buffer[head + length :]

    def connection_lost(self, exc: Exception | None) -> None:
        self.fault = self.fault or f"the socket was closed: {exc}"

    def _hear(self, text: bytes) -> None:
        if b'"connection_ack"' in text or b'"complete"' in text:
            self._say({"type": "subscribe", "id": "1", "payload": {"query": WATCH}})
        elif b'"next"' in text and b'"errors"' not in text:
            self.told += 1
            self.told_at = time.perf_counter()
        elif b'"retryable":true' in text:
            self.refused += 1  # and asks again when the operation is over, as any client would
        else:
            self.fault = self.fault or text.decode(errors="replace")

    def _say(self, message: object) -> None:
        text = orjson.dumps(message)
        head = bytes([0x81, 0x80 | len(text)]) if len(text) < 126 else struct.pack("!BBH", 0x81, 0xFE, len(text))
        self._transport.write(head + b"\0\0\0\0" + text)


async def main(endpoints: Endpoints, folder: Path, viewers: int) -> None:
    """Watchers in, posts changed, figures out."""
    await migrate_database(endpoints.database_url)
    async with open_container(Settings(data_dir=folder), endpoints) as container:
        tokens, posts = await _make_viewers(container.backends.database, viewers)
        async with _serving(endpoints, folder) as server:
            warm = [await _watch(tokens[0]) for _ in range(2)]
            await _until(partial(_all_told, warm))
            before = server.memory_info().rss

            began = time.perf_counter()
            watchers = []
            for start in range(0, viewers, 20):
                watchers += await asyncio.gather(*(_watch(token) for token in tokens[start : start + 20]))
                await _until(partial(_all_told, watchers))
            print(f"{viewers} sockets of as many viewers, each told its state: {time.perf_counter() - began:.1f} s")
            print(f"refused meanwhile, for the machine was too busy: {sum(watcher.refused for watcher in watchers)}")
            await asyncio.sleep(2)
            taken = (server.memory_info().rss - before) / 1e6
            print(f"memory they take: {taken:.0f} MB, {1000 * taken / viewers:.0f} kB each")

            for number in range(3):
                await _change_all(container.backends.transactions, posts, watchers, server, caption=f"Change {number}")


async def _change_all(transactions, posts, watchers, server, *, caption):  # type: ignore[no-untyped-def]  # as above
    told = [watcher.told for watcher in watchers]
    busy = sum(server.cpu_times()[:2])
    began = time.perf_counter()
    changed_at = []
    for start in range(0, len(posts), TOGETHER):
        chosen = posts[start : start + TOGETHER]

        async def change(tx: Transaction, chosen: list[UUID] = chosen) -> None:
            for _, event in await settle_posts(tx.connection, chosen, caption=caption):
                await tx.emit(event)

        asked = time.perf_counter()
        await transactions.execute_in_transaction(change)
        changed_at += [asked] * len(chosen)
    changed = time.perf_counter() - began
    await _until(
        lambda: _all_told(watchers) and all(now.told > before for now, before in zip(watchers, told, strict=True))
    )
    waits = sorted(watcher.told_at - began for watcher in watchers)
    busy = sum(server.cpu_times()[:2]) - busy
    own = sorted(watcher.told_at - asked for watcher, asked in zip(watchers, changed_at, strict=True))
    print(
        f"all changed within {changed:.2f} s; told after {waits[len(waits) // 2]:.2f} s (median), {waits[-1]:.2f} s "
        f"(last); each after its own change, from asking the database for it: {own[len(own) // 2]:.2f} s (median), "
        f"{own[-1]:.2f} s (longest); {1e6 * busy / len(waits):.0f} µs of the "
        "server's time each"
    )


async def _watch(token: str) -> Watcher:
    _, watcher = await asyncio.get_running_loop().create_connection(lambda: Watcher(token), "127.0.0.1", PORT)
    return watcher


def _all_told(watchers: list[Watcher]) -> bool:
    for watcher in watchers:
        if watcher.fault:
            raise RuntimeError(watcher.fault)
    return all(watcher.told for watcher in watchers)


async def _until(is_so):  # type: ignore[no-untyped-def]  # any callable
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.005)


async def _make_viewers(database, viewers):  # type: ignore[no-untyped-def]  # as above
    """People with a key, an account and a post each."""
    soon = datetime.now(UTC) + timedelta(days=30)
    tokens, rows = [], {table: [] for table in (USERS, KEYS, ACCOUNTS, POSTS, TARGETS)}
    for number in range(viewers):
        key, user, account, post = mint_api_key(), new_id(), new_id(), new_id()
        tokens.append(key.token)
        of_user, on = {"user_id": user}, {"platform": Platform.FACEBOOK}
        names = {"external_id": str(number), "handle": f"page{number}", "display_name": f"Page {number}"}
        parents = {"post_id": post, "account_id": account, "position": 0}
        times = {"next_attempt_at": soon, "calendar_at": soon}
        rows[USERS].append({"id": user, "name": f"Viewer {number}", "role": Role.PERSON})
        secret = {"secret_hash": key.secret_hash, "scope": int(Scope.WRITE)}
        rows[KEYS].append({"id": key.key_id, "name": "bench", **of_user, **secret})
        rows[ACCOUNTS].append({"id": account, "status": AccountStatus.CONNECTED, **of_user, **on, **names})
        rows[POSTS].append({"id": post, "caption": "Hello", "status": "SCHEDULED", "scheduled_at": soon, **of_user})
        rows[TARGETS].append({"id": new_id(), "status": TargetStatus.SCHEDULED, **of_user, **on, **parents, **times})
    async with database.begin() as c:
        for table, values in rows.items():
            await c.execute(insert(table), values)
    return tokens, [row["id"] for row in rows[POSTS]]


@asynccontextmanager
async def _serving(endpoints: Endpoints, folder: Path) -> AsyncIterator[psutil.Process]:
    environment = os.environ | {
        "DATABASE_URL": endpoints.database_url.replace("+asyncpg", ""),
        "REDIS_URL": endpoints.redis_url,
        "DATA_DIR": str(folder / "served"),
        "PORT": str(PORT),
        "LOG_FORMAT": "json",
    }
    with (folder.parent / "served.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", "serve", env=environment, stdout=log, stderr=log
        )
        try:
            async with httpx.AsyncClient() as http:
                for _ in range(400):
                    try:
                        await http.get(f"http://127.0.0.1:{PORT}/api/v1/health")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.1)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="crier-bench-") as name:
        Path(name).chmod(0o755)
        with EmbeddedServers(data_dir=Path(name) / "data") as started:
            wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
            uvloop.run(main(started, Path(name) / "data", wanted))
