"""Settings from the environment, read once, into a frozen dataclass.

    @dataclass(frozen=True, slots=True)
    class Config:
        page_ttl_seconds: float = setting("HELIOGRAPH_PAGE_TTL_SECONDS", seconds(), default=30.0)

    config = load(Config, os.environ)

A field whose type is itself such a dataclass is read in turn, so that parts are shared. Every missing or wrong
variable is reported in one `ConfigError`, with what was expected; no value is printed, since it may be a secret.
"""

import dataclasses
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")


class ConfigError(Exception):
    """One or more settings are missing or wrong; the text has a line for each."""


@dataclass(frozen=True, slots=True)
class Parser(Generic[T]):
    """Reads one text; `expected` completes the sentence "must be ..."."""

    expected: str
    read: Callable[[str], T]


def setting(name: str, parser: Parser[T], *, default: T | None = None, optional: bool = False) -> Any:
    """Declare a dataclass field that is read from the variable `name`.

    Without a default the variable is required, unless `optional`: then the field is `None` when it is absent.
    """
    required = default is None and not optional
    declared = {"env": name, "parser": parser, "default": default, "required": required}
    return dataclasses.field(metadata=declared, repr=False)  # it may be a secret


def load(shape: type[T], environment: Mapping[str, str]) -> T:
    """Build `shape` from the environment; `ConfigError` names every variable that is missing or wrong."""
    problems: list[str] = []
    value = _read(shape, environment, problems)
    if problems:
        raise ConfigError("\n".join(problems))
    return value


def load_or_exit(shape: type[T], environment: Mapping[str, str]) -> T:
    """Like `load`, for an entry point: print what is wrong and leave with status 2."""
    try:
        return load(shape, environment)
    except ConfigError as error:
        exit_with_usage(str(error))


def exit_with_usage(message: str) -> NoReturn:
    """Print a message to standard error and leave with status 2, the status of wrong settings or arguments."""
    print(message, file=sys.stderr)  # noqa: T201 - there is no log yet
    raise SystemExit(2)


def _read(shape: type[T], environment: Mapping[str, str], problems: list[str]) -> T:
    hints = typing.get_type_hints(shape)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(shape):  # type: ignore[arg-type]
        if "env" in field.metadata:
            values[field.name] = _read_one(field.metadata, environment, problems)
        elif dataclasses.is_dataclass(hints[field.name]):
            values[field.name] = _read(hints[field.name], environment, problems)
    return shape(**values) if not problems else typing.cast(T, None)


def _read_one(declared: Mapping[str, Any], environment: Mapping[str, str], problems: list[str]) -> Any:
    name, parser = declared["env"], declared["parser"]
    text = environment.get(name, "")
    if not text:
        if declared["required"]:
            problems.append(f"{name} is missing; it must be {parser.expected}")
        return declared["default"]
    try:
        return parser.read(text)
    except ValueError:
        problems.append(f"{name} must be {parser.expected}")
        return None


def text(expected: str, *, min_length: int = 1) -> Parser[str]:
    """Accept any text of at least `min_length` characters."""

    def read(value: str) -> str:
        if len(value) < min_length:
            raise ValueError
        return value

    return Parser(expected, read)


def integer(low: int, high: int) -> Parser[int]:
    """Accept a whole number from `low` to `high`."""

    def read(value: str) -> int:
        if not low <= (number := int(value)) <= high:
            raise ValueError
        return number

    return Parser(f"a whole number from {low} to {high}", read)


def seconds(low: float = 0.001, high: float = 1e9) -> Parser[float]:
    """Accept a number of seconds from `low` to `high`."""

    def read(value: str) -> float:
        if not low <= (number := float(value)) <= high:
            raise ValueError
        return number

    return Parser(f"a number of seconds from {low:g} to {high:g}", read)


def choice(*values: str) -> Parser[str]:
    """Accept one of the given words."""

    def read(value: str) -> str:
        if value not in values:
            raise ValueError
        return value

    return Parser("one of " + ", ".join(values), read)


def url(*schemes: str) -> Parser[str]:
    """Accept an address with one of the schemes and a host."""

    def read(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError
        return value

    return Parser(" or ".join(f"{scheme}://..." for scheme in schemes), read)


def host_port() -> Parser[str]:
    """Accept `host:port`."""

    def read(value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not 0 <= int(port) < 65536:
            raise ValueError
        return value

    return Parser("host:port", read)


def existing_file() -> Parser[Path]:
    """Accept the path of a file that can be read."""

    def read(value: str) -> Path:
        path = Path(value)
        if not path.is_file():
            raise ValueError
        return path

    return Parser("the path of an existing file", read)


DEVELOPMENT = "development"
PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """What every process of the mesh is told."""

    environment: str = setting("HELIOGRAPH_ENV", choice(DEVELOPMENT, PRODUCTION), default=PRODUCTION)
    listen: str = setting("HELIOGRAPH_LISTEN", host_port())
    """Address of the process's own server: gRPC for a service, HTTP for the gateway."""
    metrics_listen: str = setting("HELIOGRAPH_METRICS_LISTEN", host_port())
    """Address of /metrics, /healthz and /readyz."""
    node: int = setting("HELIOGRAPH_NODE", integer(0, 1023))
    """Number of this process, different in every process of a service: it keeps ids apart."""
    drain_seconds: float = setting("HELIOGRAPH_DRAIN_SECONDS", seconds(), default=10.0)
    """How long calls in flight may take to finish after a stop signal."""


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """This process's certificate, and the authority that it trusts: mutual TLS on every hop."""

    ca: Path = setting("HELIOGRAPH_TLS_CA", existing_file())
    certificate: Path = setting("HELIOGRAPH_TLS_CERT", existing_file())
    key: Path = setting("HELIOGRAPH_TLS_KEY", existing_file())


@dataclass(frozen=True, slots=True)
class TokenConfig:
    """How tokens of people are verified."""

    keys: Path = setting("HELIOGRAPH_JWT_KEYS", existing_file())
    """A JWKS file of Ed25519 public keys."""
    audience: str = setting("HELIOGRAPH_JWT_AUDIENCE", text("an audience name"), default="heliograph")


@dataclass(frozen=True, slots=True)
class PostgresConfig:
    """One database."""

    dsn: str = setting("HELIOGRAPH_POSTGRES_DSN", url("postgresql"))
    replica_dsn: str | None = setting("HELIOGRAPH_POSTGRES_REPLICA_DSN", url("postgresql"), optional=True)
    """Where reads that may lag go; the primary when absent."""
    pool_size: int = setting("HELIOGRAPH_POSTGRES_POOL_SIZE", integer(1, 500), default=10)
    statement_timeout_seconds: float = setting("HELIOGRAPH_POSTGRES_STATEMENT_TIMEOUT_SECONDS", seconds(), default=5.0)


@dataclass(frozen=True, slots=True)
class S3Config:
    """An S3-compatible object store."""

    endpoint: str = setting("HELIOGRAPH_S3_ENDPOINT", url("http", "https"))
    access_key: str = setting("HELIOGRAPH_S3_ACCESS_KEY", text("an access key"))
    secret_key: str = setting("HELIOGRAPH_S3_SECRET_KEY", text("a secret key"))
    region: str = setting("HELIOGRAPH_S3_REGION", text("a region name"), default="us-east-1")
    public_endpoint: str | None = setting("HELIOGRAPH_S3_PUBLIC_ENDPOINT", url("http", "https"), optional=True)
    """Where apps reach it, which is what signed forms and addresses name; the endpoint itself unless told."""

    @property
    def reached_by_apps(self) -> str:
        """Return where apps reach it, without a slash at the end."""
        return (self.public_endpoint or self.endpoint).rstrip("/")


REDIS_URL = url("redis", "rediss", "redis+sentinel")
NATS_URL = url("nats", "tls")
