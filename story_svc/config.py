"""Settings of story_svc."""

from dataclasses import dataclass

from mesh.config import (
    NATS_URL,
    REDIS_URL,
    PostgresConfig,
    ProcessConfig,
    S3Config,
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
    s3: S3Config
    redis_url: str = setting("HELIOGRAPH_REDIS_URL", REDIS_URL)
    nats_url: str = setting("HELIOGRAPH_NATS_URL", NATS_URL)
    feed_address: str = setting("HELIOGRAPH_FEED_ADDRESS", text("the gRPC address of feed_svc"))
    media_address: str = setting("HELIOGRAPH_MEDIA_ADDRESS", text("the gRPC address of media_svc"))
    media_public_url: str = setting("HELIOGRAPH_MEDIA_PUBLIC_URL", url("http", "https"))
    cursor_key: str = setting("HELIOGRAPH_CURSOR_KEY", text("a secret of 32 characters or more", min_length=32))
    daily_limit: int = setting("HELIOGRAPH_STORY_DAILY_LIMIT", integer(1, 100), default=100)
    """Stories that one person may publish in any 24 hours; a reel is never longer."""
