"""Every metric there is, said once: the objects that count and the README's table are both made from this list.

Labels take their values from closed lists of our own. Names of operations are the one exception, and bounded
(`app.metrics.operations`): nobody outside can make time series.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a metric moves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Described:
    """One metric: its name as Prometheus shows it, and what it tells."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


ANSWER_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LATE_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600)
STEP_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
STATEMENTS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24)
BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

OWN: tuple[Described, ...] = (
    # Requests
    Described(
        "crier_operations_total",
        _COUNTER,
        "Operations that ended; `outcome` is `ok`, `refused` (theirs to mend) or `failed` (ours). "
        "100 names get their own `operation`, all others share `other`.",
        ("operation", "kind", "outcome"),
    ),
    Described(
        "crier_operation_seconds",
        _HISTOGRAM,
        "How long queries and mutations took from request to answer, by root field (`several` for more than one).",
        ("field",),
        ANSWER_SECONDS,
    ),
    Described("crier_operation_statements", _HISTOGRAM, "SQL statements that one of them ran.", ("field",), STATEMENTS),
    Described("crier_errors_total", _COUNTER, "Errors that left, by their code.", ("code",)),
    Described("crier_http_requests_total", _COUNTER, "HTTP requests answered.", ("route", "status")),
    Described(
        "crier_http_seconds", _HISTOGRAM, "How long they took, but for event streams.", ("route",), ANSWER_SECONDS
    ),
    Described("crier_requests_in_progress", _GAUGE, "Requests, sockets and streams being served now."),
    Described("crier_subscriptions_open", _GAUGE, "Subscriptions that viewers hold open here."),
    Described("crier_sockets_open", _GAUGE, "WebSockets open here."),
    Described("crier_subscription_events_total", _COUNTER, "Events that subscriptions sent."),
    # Reading
    Described("crier_loader_batch_size", _HISTOGRAM, "Keys that a dataloader read at once.", ("loader",), BATCH_SIZES),
    Described(
        "crier_cache_answers_total",
        _COUNTER,
        "Answers by what the cache did: `hits`, `stale` (served while refreshed), `misses`, `errors` (Redis away), "
        "`too_large` (not kept).",
        ("resolver", "result"),
    ),
    Described("crier_pool_in_use", _GAUGE, "Database connections at work."),
    Described("crier_pool_idle", _GAUGE, "Database connections open and free."),
    Described("crier_pool_waiting", _GAUGE, "Callers waiting for a connection now."),
    Described("crier_pool_maximum", _GAUGE, "`DB_POOL_MAX`."),
    Described("crier_pool_waits_total", _COUNTER, "Callers that had to wait for a connection."),
    Described("crier_pool_wait_seconds_total", _COUNTER, "How long they waited, together."),
    Described("crier_pool_refused_total", _COUNTER, "Callers that got none: the line or the wait was too long."),
    Described(
        "crier_reader_lag_seconds", _GAUGE, "How far the reader is behind at most; no number where there is none."
    ),
    Described(
        "crier_reader_answers_total",
        _COUNTER,
        "Pages by who answered them: `reader`, or the writer because their owner has just `written`, or because the "
        "reader was away or `behind` or had `failed`.",
        ("by",),
    ),
    Described("crier_redis_up", _GAUGE, "1 where this process reaches Redis."),
    Described("crier_redis_outages_total", _COUNTER, "How often Redis went away."),
    # Guards
    Described("crier_breaker_state", _GAUGE, "1 at the state a breaker is in.", ("breaker", "state")),
    Described(
        "crier_breaker_transitions_total", _COUNTER, "Breaker changes this process brought about.", ("breaker", "to")
    ),
    Described("crier_api_budget_unguarded_total", _COUNTER, "Operations no budget held back, Redis being away."),
    Described("crier_quota_refusals_total", _COUNTER, "Due targets put off because a quota was full.", ("platform",)),
    Described(
        "crier_project_quota_used",
        _GAUGE,
        "Publications of all users in the platform's window for our client.",
        ("platform",),
    ),
    Described("crier_project_quota_limit", _GAUGE, "How many it may hold.", ("platform",)),
    # The queue, as the database has it: every process tells the same
    Described("crier_targets", _GAUGE, "Targets still open, by status.", ("status",)),
    Described("crier_targets_due", _GAUGE, "Targets whose time has come and that nobody has taken yet."),
    Described("crier_targets_waiting", _GAUGE, "Targets held back, by the reason they show.", ("code",)),
    Described("crier_queue_lateness_seconds", _GAUGE, "How long the oldest due target has been waiting."),
    Described("crier_workers_alive", _GAUGE, "Workers that beat within 30 s."),
    Described("crier_look_failed", _GAUGE, "1 where the last look at a part failed; its gauges are absent.", ("part",)),
    # Publishing, told by workers
    Described(
        "crier_claim_lateness_seconds",
        _HISTOGRAM,
        "From the moment a target was due until a worker looked at it.",
        ("platform",),
        LATE_SECONDS,
    ),
    Described(
        "crier_publication_delay_seconds",
        _HISTOGRAM,
        "From the planned time until people could see the post, whatever held it back.",
        ("platform",),
        LATE_SECONDS,
    ),
    Described(
        "crier_attempts_total",
        _COUNTER,
        "Lines of the ledger: steps that ended; `code` is `none` where nothing went wrong.",
        ("platform", "outcome", "code"),
    ),
    Described(
        "crier_step_seconds", _HISTOGRAM, "How long steps towards a platform took.", ("platform", "step"), STEP_SECONDS
    ),
    Described("crier_publishing", _GAUGE, "Targets this worker holds now."),
    Described("crier_worker_concurrency", _GAUGE, "`WORKER_CONCURRENCY`."),
    Described("crier_targets_rescued_total", _COUNTER, "Targets taken over from workers that fell silent."),
    Described("crier_duty_failures_total", _COUNTER, "Periodic duties that failed and will be tried anew.", ("duty",)),
    # The process
    Described("crier_info", _GAUGE, "1, with Crier's version.", ("version",)),
    Described("crier_event_loop_lag_seconds", _HISTOGRAM, "How late the event loop woke up.", (), LAG_SECONDS),
)

THEIRS: tuple[Described, ...] = (
    Described("process_cpu_seconds_total", _COUNTER, "CPU time spent."),
    Described("process_resident_memory_bytes", _GAUGE, "Memory in use."),
    Described("process_virtual_memory_bytes", _GAUGE, "Memory mapped."),
    Described("process_start_time_seconds", _GAUGE, "When the process began, since 1970."),
    Described("process_open_fds", _GAUGE, "Open files and sockets."),
    Described("process_max_fds", _GAUGE, "How many it may have."),
    Described(
        "python_info",
        _GAUGE,
        "1, with Python's version.",
        ("version", "implementation", "major", "minor", "patchlevel"),
    ),
)
"""What prometheus-client itself tells of the process, on Linux."""

CATALOGUE = {metric.name: metric for metric in (*OWN, *THEIRS)}


def describe_all() -> str:
    """The catalogue as the README shows it."""
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in CATALOGUE.values():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |")
    return "\n".join(lines)
