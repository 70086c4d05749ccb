"""The figures of all rounds: medians, ratios to the limit and to the ORM."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from benchmarks.pages.questions import Question
from benchmarks.pages.servers import Server


@dataclass(frozen=True)
class Figures:
    """One measurement."""

    rate: float
    """Requests per second."""
    p50: float
    p99: float
    """Milliseconds."""
    server: float
    postgres: float
    """CPU per request, in milliseconds."""

    @classmethod
    def of(cls, times: Sequence[float], seconds: float, *, server: float, postgres: float) -> Self:
        """From the time of every answer, and the CPU that all of them took."""
        ordered = sorted(times)
        return cls(
            rate=len(times) / seconds,
            p50=1_000 * ordered[len(ordered) // 2],
            p99=1_000 * ordered[len(ordered) * 99 // 100],
            server=1_000 * server / len(times),
            postgres=1_000 * postgres / len(times),
        )


class Report:
    """Gathers, and prints."""

    def __init__(self, contenders: Sequence[Server]) -> None:
        self._contenders = contenders
        self._found: dict[tuple[str, int, str], list[Figures]] = defaultdict(list)

    def note(self, question: Question, width: int, server: Server, figures: Figures) -> None:
        """One more round."""
        self._found[question.letter, width, server.name].append(figures)

    def print_question(self, question: Question, width: int) -> None:
        """One line per server."""
        print(f"\n{question.letter}. {question.title}, {width} connections")
        print("             requests/s      p50 ms    p99 ms   server CPU ms   PostgreSQL CPU ms", flush=True)
        for server in self._contenders:
            f = self._median(question.letter, width, server.name)
            print(
                f"   {server.name:<8} {f.rate:10.0f} {f.p50:13.2f} {f.p99:9.2f} {f.server:13.3f} {f.postgres:17.3f}",
                flush=True,
            )

    def print_ratios(self) -> None:
        """Crier's requests per second as shares of the others'."""
        print("\nCrier as a multiple of        the limit      the ORM")
        for letter, width in sorted({(letter, width) for letter, width, _ in self._found}):
            limit, crier, orm = (self._median(letter, width, server.name).rate for server in self._contenders)
            print(f"   {letter} at {width:2} connections {crier / limit:14.2f} {crier / orm:12.1f}")
        for server in self._contenders:
            print(f"   {server.name:<8} resident after this: {server.megabytes():.0f} MB")

    def _median(self, letter: str, width: int, name: str) -> Figures:
        found = self._found[letter, width, name]
        middle = {field: statistics.median(getattr(f, field) for f in found) for field in Figures.__annotations__}
        return Figures(**middle)
