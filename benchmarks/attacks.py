"""What attackers get for their trouble: `python -m benchmarks.attacks [seconds]`.

First the time (of this process, medians of fresh documents) that each body of `benchmarks.attack_bodies` takes from the
whole API, the dearest first; then how soon health is answered while eight connections send all of them as fast as they
are answered.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import httpx
import orjson
import structlog
import uvloop
from starlette.types import ASGIApp

from app.api import open_api
from app.embedded import EmbeddedServers, Endpoints
from app.log import configure_logging
from app.memory import settle_memory
from app.migrating import migrate_database
from app.processes import open_container
from app.serving import bind, serving
from app.settings import Settings
from benchmarks.attack_bodies import attack_bodies
from benchmarks.edge import make_key, send_to

ATTACKERS = 8
PORT = 8766
ROUNDS = 5
MOST = 0.020
"""Seconds that a refusal may take."""
SHOWN = 12


async def main(endpoints: Endpoints, folder: Path, seconds: float) -> None:
    """Prices, then health under attack."""
    await migrate_database(endpoints.database_url)
    settings = Settings(data_dir=folder, api_budget=10**9)
    async with open_container(settings, endpoints) as container:
        token = await make_key(container.backends.database)
    times: dict[str, list[float]] = {}
    turns: list[float] = []
    answers: dict[str, tuple[int, int]] = {}
    print(f"{os.getloadavg()[0]:.1f} processes want the machine's {os.cpu_count()} cores")
    for _ in range(ROUNDS):
        # A new API each time, which has seen no document yet.
        async with open_container(settings, endpoints) as container, open_api(container) as api:
            await send_to(api.app, "/graphql", token=token, content=b'{"query": "{viewer {id}}"}')
            settle_memory()
            turns.append(_turn_a_million_times())
            await _attack_each(api.app, token, times, answers)
    print(f"a million empty turns of Python took {1_000 * statistics.median(turns):.0f} ms of CPU meanwhile")
    _print_times(times, answers)

    listener = bind("127.0.0.1", PORT, setting="PORT")
    async with (
        open_container(settings, endpoints) as container,
        open_api(container) as api,
        serving(api.app, listener, grace=timedelta(seconds=1)),
    ):
        settle_memory()
        await _watch_health(token, seconds)


def _turn_a_million_times() -> float:
    """Seconds of CPU: a core that others share may take twice as long over the same work."""
    began = time.process_time()
    for _ in range(1_000_000):
        pass
    return time.process_time() - began


async def _attack_each(
    app: ASGIApp, token: str, times: dict[str, list[float]], answers: dict[str, tuple[int, int]]
) -> None:
    for name, body in attack_bodies().items():
        began = time.process_time()
        status, answered = await send_to(app, "/graphql", token=token, content=body)
        times.setdefault(name, []).append(time.process_time() - began)
        cost = orjson.loads(answered).get("extensions", {}).get("cost", {}).get("requested", 0)
        answers[name] = status, cost


def _print_times(times: dict[str, list[float]], answers: dict[str, tuple[int, int]]) -> None:
    medians = sorted(((statistics.median(found), name) for name, found in times.items()), reverse=True)
    for seconds, name in medians[:SHOWN]:
        status, cost = answers[name]
        print(f"{1000 * seconds:6.1f} ms  {status}  cost {cost:>5}  {name}")
    refused = [(seconds, name) for seconds, name in medians if not answers[name][1]]
    late = [name for seconds, name in refused if seconds > MOST]
    print(
        f"{len(medians)} bodies; {len(refused)} refused, the slowest in {1000 * refused[0][0]:.1f} ms, "
        f"{len(late)} in more than 20 ms"
    )


async def _watch_health(token: str, seconds: float) -> None:
    attackers = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.attacks", "attack", token, str(seconds), stdout=asyncio.subprocess.PIPE
    )
    assert attackers.stdout is not None
    await attackers.stdout.readline()  # they begin
    ends_at = time.perf_counter() + seconds
    waits = []
    async with httpx.AsyncClient(timeout=30) as http:
        while time.perf_counter() < ends_at:
            began = time.perf_counter()
            (await http.get(f"http://127.0.0.1:{PORT}/api/v1/health")).raise_for_status()
            waits.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0.01)
    sent = int((await attackers.communicate())[0])
    waits.sort()
    print(
        f"health while {ATTACKERS} connections attack ({sent / seconds:.0f} bodies/s): median "
        f"{statistics.median(waits):.0f} ms, p99 {waits[int(0.99 * len(waits))]:.0f} ms, worst {waits[-1]:.0f} ms"
    )


async def attack(token: str, seconds: float) -> None:
    """Send all bodies, each a little different every time, as fast as they are answered; say at the end how many."""
    bodies, sent = list(attack_bodies().values()), 0
    print("attacking", flush=True)
    ends_at = time.perf_counter() + seconds

    async def send() -> None:
        nonlocal sent
        headers = {"Authorization": token, "Content-Type": "application/json"}
        async with httpx.AsyncClient(timeout=30) as http:
            while time.perf_counter() < ends_at:
                sent += 1
                body = bodies[sent % len(bodies)].replace(b"__typename", b"t%d:__typename" % sent, 1)
                await http.post(f"http://127.0.0.1:{PORT}/graphql", content=body, headers=headers)

    await asyncio.gather(*(send() for _ in range(ATTACKERS)))
    print(sent)


if __name__ == "__main__" and sys.argv[1:2] == ["attack"]:
    uvloop.run(attack(sys.argv[2], float(sys.argv[3])))
elif __name__ == "__main__":
    configure_logging(log_format="json", level="ERROR")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(prefix="crier-bench-") as name:
        Path(name).chmod(0o755)
        with EmbeddedServers(data_dir=Path(name) / "data") as started:
            uvloop.run(main(started, Path(name) / "data", float(sys.argv[1]) if len(sys.argv) > 1 else 20.0))
