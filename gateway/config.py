"""Settings of the gateway."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mesh.config import (
    NATS_URL,
    Parser,
    ProcessConfig,
    TlsConfig,
    TokenConfig,
    choice,
    existing_file,
    integer,
    seconds,
    setting,
    text,
)

ON, OFF = "on", "off"


def _read_origins(value: str) -> tuple[str, ...]:
    origins = tuple(origin.strip().rstrip("/") for origin in value.split(",") if origin.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(origin)
    return origins


ORIGINS: Parser[tuple[str, ...]] = Parser("origins such as https://app.example, separated by commas", _read_origins)
NO_ORIGINS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Read once, in `__main__`."""

    process: ProcessConfig
    tls: TlsConfig
    tokens: TokenConfig
    nats_url: str = setting("HELIOGRAPH_NATS_URL", NATS_URL)
    feed_address: str = setting("HELIOGRAPH_FEED_ADDRESS", text("the gRPC address of feed_svc"))
    story_address: str = setting("HELIOGRAPH_STORY_ADDRESS", text("the gRPC address of story_svc"))
    dm_address: str = setting("HELIOGRAPH_DM_ADDRESS", text("the gRPC address of dm_svc"))
    media_address: str = setting("HELIOGRAPH_MEDIA_ADDRESS", text("the gRPC address of media_svc"))
    cursor_key: str = setting("HELIOGRAPH_CURSOR_KEY", text("a secret of 32 characters or more", min_length=32))
    allowed_origins: tuple[str, ...] = setting("HELIOGRAPH_ALLOWED_ORIGINS", ORIGINS, default=NO_ORIGINS)
    """Web pages of these origins may call, over HTTP (CORS) and WebSocket; apps send no origin."""
    request_seconds: float = setting("HELIOGRAPH_REQUEST_SECONDS", seconds(0.1, 60), default=8.0)
    """Deadline of a whole request; every call below it gets what is left."""
    cost_per_minute: int | None = setting("HELIOGRAPH_COST_PER_MINUTE", integer(1_000, 2_000_000_000), optional=True)
    """Cost units (see `limits`) that a person may spend in a minute; 600,000 when absent, in development 1,000 times
    that.
    """
    address_cost_per_minute: int | None = setting(
        "HELIOGRAPH_ADDRESS_COST_PER_MINUTE", integer(1_000, 2_000_000_000), optional=True
    )
    """The same for all requests of one network address; ten times as much."""
    trusted_proxies: int = setting("HELIOGRAPH_TRUSTED_PROXIES", integer(0, 10), default=0)
    """How many proxies of ours stand before the gateway: so many entries of X-Forwarded-For are believed."""
    trusted_documents: Path | None = setting("HELIOGRAPH_TRUSTED_DOCUMENTS", existing_file(), optional=True)
    """A JSON file of documents by their SHA-256."""
    only_trusted: str = setting("HELIOGRAPH_ONLY_TRUSTED_DOCUMENTS", choice(ON, OFF), default=OFF)
    """`on`: only documents of that file are executed."""
    compiled_plans: str = setting("HELIOGRAPH_COMPILED_PLANS", choice(ON, OFF), default=ON)
    """`off`: graphql-core executes everything; answers stay the same, to the byte."""
