"""What operators see of Crier's own state."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """The database pool at one moment, in connections (`waiting`: in callers)."""

    size: int
    in_use: int
    idle: int
    waiting: int
    minimum: int
    maximum: int
    waits: int = 0
    """Callers that had to wait since the start, and how long they did together (seconds)."""
    waited_seconds: float = 0.0
    refused: int = 0
    """Callers that got none: too many waited already, or their own wait was over."""


class HealthStatus(StrEnum):
    """How a part, or the whole, is doing; worse ones compare by `SEVERITY`."""

    OK = "ok"
    DEGRADED = "degraded"
    """It serves, but somebody should look: posts may be late, or answers slower."""
    UNFIT = "unfit"
    """This process cannot serve: send requests elsewhere."""


SEVERITY: tuple[HealthStatus, ...] = (HealthStatus.OK, HealthStatus.DEGRADED, HealthStatus.UNFIT)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw."""

    status: HealthStatus
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One part's state, and how long it took to find out (milliseconds)."""

    name: str
    status: HealthStatus
    latency_ms: float
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The state of this process and of everything it needs; as bad as its worst check."""

    version: str
    checks: tuple[HealthCheck, ...]

    @property
    def status(self) -> HealthStatus:
        """The worst of the checks."""
        return max((check.status for check in self.checks), key=SEVERITY.index, default=HealthStatus.OK)
