"""Contenders measured in turn, ABAB, so that whatever else the machine does falls on all of them alike."""

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

Contender = Callable[[], Awaitable[object]]


async def compare(contenders: Mapping[str, Contender], *, rounds: int = 15, calls: int = 200) -> None:
    """Print each contender's median time a call (µs) over all rounds, and its ratio to the first."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        await measure(call, calls)  # connections, prepared statements and scripts are warm from here on
    for _ in range(rounds):
        for name, call in contenders.items():
            times[name].append(await measure(call, calls))

    medians = {name: statistics.median(found) for name, found in times.items()}
    baseline = next(iter(medians.values()))
    for name, found in times.items():
        low, high = min(found), max(found)
        print(f"{name:<52} {medians[name]:8.1f} µs   {medians[name] / baseline:5.2f} ×   ({low:.0f} to {high:.0f})")
    print()


async def measure(call: Contender, calls: int) -> float:
    """Microseconds a call, one after the other."""
    began = time.perf_counter()
    for _ in range(calls):
        await call()
    return (time.perf_counter() - began) / calls * 1e6
