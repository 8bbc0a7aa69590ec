"""cli.scrape: what /metrics say between two moments."""

import pytest

from cli.scrape import Activity, Scrape, between, parse


def text(
    *, ok: int, internal: int = 0, not_found: int = 0, fast: int = 0, slow: int = 0, lag: float = 0.0, redis_up: int = 1
) -> str:
    return f"""
# TYPE grpc_server_handled_total counter
grpc_server_handled_total{{method="/S/M",code="OK",caller="gateway"}} {ok}
grpc_server_handled_total{{method="/S/M",code="INTERNAL",caller="gateway"}} {internal}
grpc_server_handled_total{{method="/S/M",code="NOT_FOUND",caller="gateway"}} {not_found}
# TYPE grpc_server_handling_seconds histogram
grpc_server_handling_seconds_bucket{{method="/S/M",le="0.01"}} {fast}
grpc_server_handling_seconds_bucket{{method="/S/M",le="0.1"}} {fast + slow}
grpc_server_handling_seconds_bucket{{method="/S/M",le="+Inf"}} {fast + slow}
# TYPE outbox_oldest_seconds gauge
outbox_oldest_seconds {lag}
# TYPE consumer_messages_total counter
consumer_messages_total{{durable="d",outcome="Done"}} {ok * 2}
# TYPE dependency_up gauge
dependency_up{{dependency="redis"}} {redis_up}
dependency_up{{dependency="nats"}} 1
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 52428800
"""


def scraped(at: float, **values: float) -> Scrape:
    return parse(text(**values), at=at)


def activity(before: dict[str, float], after: dict[str, float], seconds: float = 2.0) -> Activity:
    return between(scraped(10.0, **before), scraped(10.0 + seconds, **after))


def test_rates_are_per_second_between_the_two() -> None:
    seen = activity({"ok": 100}, {"ok": 150, "internal": 4, "not_found": 6})
    assert seen.calls_per_s == pytest.approx(30)
    assert seen.messages_per_s == pytest.approx(50)


def test_only_our_faults_count_as_errors() -> None:
    assert activity({"ok": 0}, {"ok": 10, "internal": 4, "not_found": 6}).errors_per_s == pytest.approx(2)


def test_operations_of_the_gateway_count_by_their_outcome() -> None:
    def gateway(answered: int, failed: int) -> str:
        return f"""
# TYPE gateway_operations_total counter
gateway_operations_total{{kind="query",outcome="answered"}} {answered}
gateway_operations_total{{kind="query",outcome="failed"}} {failed}
"""

    seen = between(parse(gateway(0, 0), at=0.0), parse(gateway(18, 2), at=2.0))
    assert (seen.calls_per_s, seen.errors_per_s) == (10, 1)


def test_p99_is_of_the_calls_between_the_two() -> None:
    before = {"ok": 0, "fast": 0, "slow": 1000}
    assert activity(before, {"ok": 0, "fast": 1000, "slow": 1000}).p99_ms == 10
    assert activity(before, {"ok": 0, "fast": 90, "slow": 1010}).p99_ms == 100
    assert activity(before, before).p99_ms is None


def test_a_restarted_process_counts_from_zero() -> None:
    assert activity({"ok": 1000}, {"ok": 10}).calls_per_s == pytest.approx(5)


def test_lag_memory_and_missing_dependencies_are_of_the_later_moment() -> None:
    seen = activity({"ok": 0, "lag": 9}, {"ok": 0, "lag": 3.5, "redis_up": 0})
    assert seen.worst_lag == ("outbox_oldest_seconds", 3.5)
    assert seen.memory_mib == 50
    assert seen.down == ("redis",)
