"""Counters and histograms for one event loop: no locks, and a dict entry is all that counting costs.

The client library's own take a lock or two and walk every bucket for each number; a request counts six times.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from app.metrics.catalogue import Described

Labels = tuple[str, ...]


class Count(Collector):
    """A counter, by its labels."""

    def __init__(self, metric: Described) -> None:
        self._metric = metric
        self._counts: dict[Labels, float] = {} if metric.labels else {(): 0}

    def add(self, *labels: str, amount: float = 1) -> None:
        """So many more."""
        self._counts[labels] = self._counts.get(labels, 0) + amount

    def collect(self) -> Iterator[Metric]:
        """All series."""
        yield counter_family(self._metric, self._counts.items())


class Spread(Collector):
    """A histogram, by its labels: per series one number for each bucket, one for what is beyond, and the sum."""

    def __init__(self, metric: Described) -> None:
        self._metric = metric
        self._bounds = [float(bound) for bound in metric.buckets]
        self._series: dict[Labels, list[float]] = {} if metric.labels else {(): self._nothing()}

    def observe(self, value: float, *labels: str) -> None:
        """One more of this size."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._nothing()
        series[bisect_left(self._bounds, value)] += 1
        series[-1] += value

    def collect(self) -> Iterator[Metric]:
        """All series; buckets hold what is in those below as well, as Prometheus has it."""
        metric = self._metric
        family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        for labels, series in self._series.items():
            total, buckets = 0.0, []
            for name, count in zip(names, series, strict=False):
                total += count
                buckets.append((name, total))
            family.add_metric(labels, buckets, series[-1])
        yield family

    def _nothing(self) -> list[float]:
        return [0] * (len(self._bounds) + 2)


class Read(Collector):
    """A counter that somebody else keeps."""

    def __init__(self, metric: Described, values: Callable[[], Iterable[tuple[Labels, float]]]) -> None:
        self._metric = metric
        self._values = values

    def collect(self) -> Iterator[Metric]:
        """The numbers as they are now."""
        yield counter_family(self._metric, self._values())


def counter_family(metric: Described, values: Iterable[tuple[Labels, float]]) -> Metric:
    """A counter's series as the library writes them."""
    family = CounterMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family
