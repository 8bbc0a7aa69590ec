"""Settings of feed_svc."""

from dataclasses import dataclass

from mesh.config import (
    NATS_URL,
    REDIS_URL,
    PostgresConfig,
    ProcessConfig,
    TlsConfig,
    TokenConfig,
    integer,
    setting,
    text,
    url,
)


@dataclass(frozen=True, slots=True)
class Config:
    """Read once, in `__main__`."""

    process: ProcessConfig
    tls: TlsConfig
    tokens: TokenConfig
    postgres: PostgresConfig
    redis_url: str = setting("HELIOGRAPH_REDIS_URL", REDIS_URL)
    nats_url: str = setting("HELIOGRAPH_NATS_URL", NATS_URL)
    media_address: str = setting("HELIOGRAPH_MEDIA_ADDRESS", text("the gRPC address of media_svc"))
    media_public_url: str = setting("HELIOGRAPH_MEDIA_PUBLIC_URL", url("http", "https"))
    cursor_key: str = setting("HELIOGRAPH_CURSOR_KEY", text("a secret of 32 characters or more", min_length=32))
    timeline_length: int = setting("HELIOGRAPH_TIMELINE_LENGTH", integer(20, 5_000), default=300)
    """Posts kept in a pushed timeline, up to half more before it is cut; below its floor a feed continues by pull."""
    timeline_days: int = setting("HELIOGRAPH_TIMELINE_DAYS", integer(1, 30), default=30)
    """A timeline that nobody has read for so long is removed; its owner's next feed is by pull."""
