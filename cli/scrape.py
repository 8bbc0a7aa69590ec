"""What a process's /metrics say between two moments: rates, p99, errors, lags."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

CALLS = ("grpc_server_handled_total", "gateway_operations_total")
"""Counters of finished calls; how they ended stands in the label `code`, at the gateway in `outcome`."""
SECONDS = ("grpc_server_handling_seconds_bucket", "gateway_operation_seconds_bucket")
"""Histograms of how long those calls took."""
HANDLED = "consumer_messages_total"
"""Messages that consume loops have settled; the label `outcome` says how."""
LAG_ENDINGS = ("_lag_seconds", "_oldest_seconds")
"""Endings of gauges that say how far behind something is."""
OUR_FAULT = frozenset({"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "DATA_LOSS", "RESOURCE_EXHAUSTED"})
"""Codes that count as errors of the system; the others are answers to wrong requests."""

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Scrape:
    """Every sample of one process at one moment."""

    at: float
    """Seconds on a monotonic clock."""
    samples: Mapping[tuple[str, Labels], float]

    def total(self, *names: str) -> dict[Labels, float]:
        """Return the samples of these names by label set."""
        return {labels: value for (name, labels), value in self.samples.items() if name in names}


@dataclass(frozen=True, slots=True)
class Activity:
    """What a process did between two scrapes."""

    calls_per_s: float
    errors_per_s: float
    p99_ms: float | None
    """`None` when there was no call."""
    messages_per_s: float
    worst_lag: tuple[str, float] | None
    """Name and seconds of what is furthest behind; `None` when the process has no such gauge."""
    memory_mib: float
    down: tuple[str, ...]
    """Dependencies that did not answer the last check."""


def parse(text: str, *, at: float) -> Scrape:
    """Read the text of /metrics."""
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return Scrape(at, samples)


def between(before: Scrape, after: Scrape) -> Activity:
    """Return what happened from one scrape to the next; a process that was restarted meanwhile counts from zero."""
    elapsed = max(after.at - before.at, 1e-9)
    calls = _grown(before.total(*CALLS), after.total(*CALLS))
    failed = {labels: count for labels, count in calls.items() if _is_our_fault(dict(labels))}
    return Activity(
        calls_per_s=sum(calls.values()) / elapsed,
        errors_per_s=sum(failed.values()) / elapsed,
        p99_ms=_p99_ms(_grown(before.total(*SECONDS), after.total(*SECONDS))),
        messages_per_s=sum(_grown(before.total(HANDLED), after.total(HANDLED)).values()) / elapsed,
        worst_lag=_worst_lag(after),
        memory_mib=sum(after.total("process_resident_memory_bytes").values()) / 2**20,
        down=tuple(
            sorted(dict(labels)["dependency"] for labels, up in after.total("dependency_up").items() if up == 0)
        ),
    )


def _is_our_fault(labels: Mapping[str, str]) -> bool:
    return labels.get("code") in OUR_FAULT or labels.get("outcome") == "failed"


def _grown(before: Mapping[Labels, float], after: Mapping[Labels, float]) -> dict[Labels, float]:
    grown = {labels: value - before.get(labels, 0.0) for labels, value in after.items()}
    return {labels: after[labels] if value < 0 else value for labels, value in grown.items()}


def _p99_ms(buckets: Mapping[Labels, float]) -> float | None:
    """Return the upper bound of the bucket in which the 99th percentile lies."""
    by_bound: defaultdict[float, float] = defaultdict(float)
    for labels, count in buckets.items():
        by_bound[float(dict(labels)["le"])] += count
    total = by_bound.get(float("inf"), 0.0)
    if total == 0:
        return None
    return next(bound for bound in sorted(by_bound) if by_bound[bound] >= 0.99 * total) * 1000


def _worst_lag(scrape: Scrape) -> tuple[str, float] | None:
    lags = [(value, name) for (name, _), value in scrape.samples.items() if name.endswith(LAG_ENDINGS)]
    if not lags:
        return None
    value, name = max(lags)
    return name, value
