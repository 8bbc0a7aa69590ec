"""mesh.config: every mistake at once, no value printed."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh.config import (
    NATS_URL,
    ConfigError,
    PostgresConfig,
    ProcessConfig,
    choice,
    existing_file,
    host_port,
    integer,
    load,
    load_or_exit,
    seconds,
    setting,
    text,
    url,
)


@dataclass(frozen=True, slots=True)
class Inner:
    count: int = setting("X_COUNT", integer(1, 9))


@dataclass(frozen=True, slots=True)
class Config:
    inner: Inner
    key: str = setting("X_KEY", text("a secret of 8 characters or more", min_length=8))
    pause_seconds: float = setting("X_PAUSE_SECONDS", seconds(), default=2.5)
    replica: str | None = setting("X_REPLICA", url("http", "https"), optional=True)


def test_values_are_read_and_defaults_filled_in() -> None:
    config = load(Config, {"X_COUNT": "3", "X_KEY": "12345678"})
    assert config == Config(Inner(3), "12345678", 2.5, None)


def test_every_mistake_is_told_at_once_and_no_value() -> None:
    with pytest.raises(ConfigError) as refused:
        load(Config, {"X_KEY": "short", "X_PAUSE_SECONDS": "-3", "X_REPLICA": "ftp://secret"})
    assert str(refused.value).splitlines() == [
        "X_COUNT is missing; it must be a whole number from 1 to 9",
        "X_KEY must be a secret of 8 characters or more",
        "X_PAUSE_SECONDS must be a number of seconds from 0.001 to 1e+09",
        "X_REPLICA must be http://... or https://...",
    ]


def test_an_empty_variable_counts_as_absent() -> None:
    assert load(Config, {"X_COUNT": "3", "X_KEY": "12345678", "X_REPLICA": "", "X_PAUSE_SECONDS": ""}).replica is None
    with pytest.raises(ConfigError, match="X_KEY is missing"):
        load(Config, {"X_COUNT": "3", "X_KEY": ""})


def test_load_or_exit_prints_and_leaves_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        load_or_exit(Config, {})
    assert left.value.code == 2
    assert "X_COUNT is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parser", "good", "bad"),
    [
        (integer(0, 10), ["0", "10", " 7 "], ["-1", "11", "1.5", "x", ""]),
        (seconds(), ["0.001", "3"], ["0", "nan", "inf", "x"]),
        (choice("a", "b"), ["a"], ["A", "c", "a "]),
        (url("postgresql"), ["postgresql://u:p@h:1/d"], ["postgres://h/d", "postgresql://", "h:1"]),
        (NATS_URL, ["nats://h:1", "tls://h"], ["http://h", "nats:"]),
        (host_port(), ["127.0.0.1:80", "[::1]:0"], [":80", "h", "h:", "h:x", "h:65536"]),
        (existing_file(), [__file__], ["/nonexistent", str(Path(__file__).parent)]),
    ],
)
def test_parsers_take_what_they_say_and_refuse_the_rest(parser: object, good: list[str], bad: list[str]) -> None:
    for value in good:
        parser.read(value)
    for value in bad:
        with pytest.raises(ValueError):
            parser.read(value)


def test_production_is_the_default_environment() -> None:
    config = load(
        ProcessConfig,
        {"HELIOGRAPH_LISTEN": "127.0.0.1:1", "HELIOGRAPH_METRICS_LISTEN": "127.0.0.1:2", "HELIOGRAPH_NODE": "1"},
    )
    assert config.environment == "production"


def test_a_database_without_replica_reads_from_the_primary() -> None:
    config = load(PostgresConfig, {"HELIOGRAPH_POSTGRES_DSN": "postgresql://u:p@h:1/d"})
    assert config.replica_dsn is None
    assert config.pool_size == 10
