"""The long form of the fault programme, as `make faults` runs it: prints what it does, and ends with 1 on a violation.

python -m tests.faults                      everything
python -m tests.faults --seed 1234          one run with real processes, again
python -m tests.faults --runs 20 --seeds 0 --races 0
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from random import Random

from tests.faults.crowds import CALM, UNLIMITED, eight_workers, lost_races, overfull, race_cancels, sixty_at_once
from tests.faults.plans import draw_plan
from tests.faults.runs import perform
from tests.faults.stage import Servers, running_servers, set_stage
from tests.faults.wiring import TwentySeconds, Windowed
from tests.simulation.world import in_silence, simulate, violations

FEWEST_KILLS = 70
LIMIT = 25


def main() -> int:
    """Run what was asked for; gives the exit code."""
    asked = _arguments()
    began = time.monotonic()
    problems = list(simulated(asked.seeds))
    with running_servers() as servers:
        if asked.seed is not None:
            problems += asyncio.run(runs(servers, [asked.seed]))
        else:
            problems += asyncio.run(runs(servers, range(asked.runs)))
            if asked.races:
                problems += asyncio.run(sixty(servers))
                problems += asyncio.run(races(servers, asked.races))
    minutes = (time.monotonic() - began) / 60
    _say(f"{len(problems)} violations in {minutes:.1f} minutes")
    return 1 if problems else 0


def simulated(seeds: int) -> Iterator[str]:
    """So many seeds of the delivery in simulation, on all cores."""
    with ProcessPoolExecutor() as pool:
        for seed, found in enumerate(pool.map(_simulate, range(seeds), chunksize=100)):
            for problem in found:
                yield _told(f"simulation, seed {seed}: {problem}")
    _say(f"simulation: {seeds} seeds")


async def runs(servers: Servers, seeds: list[int] | range) -> list[str]:
    """One run with real processes for each seed."""
    problems: list[str] = []
    async with set_stage(servers) as stage:
        for seed in seeds:
            began = time.monotonic()
            plan = draw_plan(seed)
            found = await perform(stage, plan)
            problems += [_told(f"seed {seed}: {problem}") for problem in found]
            if found:
                _say(str(plan))
            _say(f"seed {seed}: {time.monotonic() - began:.1f} s, {stage.crew.kills} kills so far")
        if len(seeds) >= FEWEST_KILLS and stage.crew.kills < FEWEST_KILLS:
            problems.append(_told(f"only {stage.crew.kills} kills"))
    return problems


async def sixty(servers: Servers) -> list[str]:
    """Sixty Instagram posts of one person at once, on eight workers."""
    async with eight_workers(servers, TwentySeconds) as stage:
        crowd = await sixty_at_once(stage, troubled=LIMIT - 1)
    problems = [*crowd.restless, *overfull(crowd, limit=LIMIT, window=TwentySeconds.window)]
    problems += [] if [caption for _, caption in crowd.shown] == crowd.due else ["not in order"]
    problems += [] if crowd.statuses == {"PUBLISHED": 60} else [f"they ended {crowd.statuses}"]
    _say(f"sixty at once: {dict(crowd.statuses)}, {LIMIT} in any hour of {TwentySeconds.window.seconds} s")
    return [_told(f"sixty at once: {problem}") for problem in problems]


async def races(servers: Servers, count: int) -> list[str]:
    """So many cancels against workers."""
    async with set_stage(servers, wiring=Windowed, lease=CALM, direct=True, rate_limit_facebook=UNLIMITED) as stage:
        crowd, answers = await race_cancels(stage, Random(1), races=count)  # noqa: S311 - repeatable, not secret
    _say(f"races: {count}, of which the cancel won {sum(answers.values())}")
    return [_told(problem) for problem in [*crowd.restless, *lost_races(crowd, answers)]]


def _simulate(seed: int) -> list[str]:
    with in_silence():
        return violations(simulate(seed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=150, help="with real processes")
    parser.add_argument("--seeds", type=int, default=10_000, help="in simulation")
    parser.add_argument("--races", type=int, default=10_000, help="of cancels against workers; 0: no crowds at all")
    parser.add_argument("--seed", type=int, help="this run with real processes only")
    asked = parser.parse_args()
    if asked.seed is not None:
        asked.seeds = 0
    return asked


def _told(problem: str) -> str:
    _say(f"VIOLATION {problem}")
    return problem


def _say(words: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
