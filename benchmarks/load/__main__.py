"""Find the knee: the highest rate at which the objective holds, for one API process and for two.

The objective is the service's: pages within 50 ms (p99), and no more than one request in a thousand failing. Each rate
is held for a few seconds, after a warm-up; the next one is half as much again.
"""

import argparse
import os
import tempfile
from pathlib import Path
from random import Random

import uvloop
from sqlalchemy.ext.asyncio import create_async_engine

from app.embedded import EmbeddedServers
from app.migrating import migrate_database
from benchmarks.load.client import Wires
from benchmarks.load.people import Person, settle_people
from benchmarks.load.profile import Tally, press
from benchmarks.load.servers import HEADINGS, api_processes, read

MOST_FAILED = 0.001
GROWTH = 1.5


async def main(options: argparse.Namespace, database_url: str, redis_url: str, folder: str) -> None:
    """One process, then two."""
    await migrate_database(database_url)
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        people = await settle_people(connection, options.people, Random(7))
        await connection.exec_driver_sql("ANALYZE")
    await engine.dispose()

    print(f"{os.cpu_count()} cores, shared by the API, PostgreSQL, Redis and this generator; {len(people)} people.")
    knees = []
    for count in options.processes:
        print(f"\n{count} API process{'es' if count > 1 else ''}:")
        async with api_processes(count, database_url=database_url, redis_url=redis_url, folder=folder) as ports:
            knees.append(await climb(ports, people, options))
        print(f"Knee: {knees[-1]:.0f} requests/s" if knees[-1] else "The objective held at no rate that was tried.")
    if len(knees) > 1 and knees[0]:
        print(f"\n{options.processes[-1]} processes carry {knees[-1] / knees[0]:.2f} times what one does.")


async def climb(ports: list[int], people: list[Person], options: argparse.Namespace) -> float:
    """The highest rate at which the objective held; 0 where it held at none."""
    print(
        f"{'wanted/s':>8} {'done/s':>7} {'page p50':>9} {'p99':>7} {'post p99':>9} {'mut. p99':>9} {'sub. p99':>9} "
        f"{'failed':>7} {HEADINGS}"
    )
    random, wires, knee, rate = Random(11), Wires(ports), 0.0, options.rate
    try:
        await press(wires, people, rate=rate / 2, seconds=options.seconds / 2, random=random)
        while rate < options.most:
            before = await read(ports)
            tally = await press(wires, people, rate=rate, seconds=options.seconds, random=random)
            after = await read(ports)
            print(_line(rate, tally, after.began - before.ended), after.since(before), flush=True)
            if tally.percentile("page", 0.99) > options.slowest or tally.failed > MOST_FAILED:
                return knee
            knee, rate = rate, rate * GROWTH
    finally:
        wires.close()
    return knee


def _line(rate: float, tally: Tally, seconds: float) -> str:
    kinds = "".join(f"{tally.percentile(kind, 0.99):9.1f} " for kind in ("post", "mutation", "subscription"))
    return (
        f"{rate:8.0f} {tally.answered / seconds:7.0f} {tally.percentile('page', 0.5):9.1f} "
        f"{tally.percentile('page', 0.99):7.1f} {kinds}{tally.failed:7.2%}"
    )


def read_options() -> argparse.Namespace:
    """What can be asked of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=20, help="requests/s to begin with")
    parser.add_argument("--most", type=float, default=20_000, help="requests/s to stop at")
    parser.add_argument("--seconds", type=float, default=8, help="how long each rate is held")
    parser.add_argument("--slowest", type=float, default=50, help="what a page may take, p99, in milliseconds")
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    return parser.parse_args()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="crier-load-") as folder:
        Path(folder).chmod(0o755)  # servers that root starts run as somebody else, and have to reach their data
        with EmbeddedServers(data_dir=Path(folder) / "servers", durable=True) as servers:
            uvloop.run(main(read_options(), servers.database_url, servers.redis_url, folder))
