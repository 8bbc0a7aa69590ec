"""Settings of dm_svc."""

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
    seconds,
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
    nats_monitor_urls: str = setting(
        "HELIOGRAPH_NATS_MONITOR_URLS", text("the http://host:port of every NATS server's monitor, separated by commas")
    )
    """Where the servers report whether they sync before they acknowledge."""
    feed_address: str = setting("HELIOGRAPH_FEED_ADDRESS", text("the gRPC address of feed_svc"))
    media_address: str = setting("HELIOGRAPH_MEDIA_ADDRESS", text("the gRPC address of media_svc"))
    cursor_key: str = setting("HELIOGRAPH_CURSOR_KEY", text("a secret of 32 characters or more", min_length=32))
    partitions: int = setting("HELIOGRAPH_DM_PARTITIONS", integer(1, 100), default=8)
    """Partitions of the log; fixed by the first start on a database."""
    log_days: int = setting("HELIOGRAPH_DM_LOG_DAYS", integer(1, 3650), default=30)
    """How long the log is kept beside the tables, for `dm verify`."""
    inbox_days: float = setting("HELIOGRAPH_DM_INBOX_DAYS", seconds(0.00001, 3650), default=30.0)
    """How long inbox entries can be replayed; an older cursor gets RESYNC."""
    read_wait_seconds: float = setting("HELIOGRAPH_DM_READ_WAIT_SECONDS", seconds(), default=1.5)
    """How long a read waits for what was acknowledged before it."""
    batch_size: int = setting("HELIOGRAPH_DM_BATCH_SIZE", integer(1, 2000), default=300)
    """Log entries persisted in one transaction, at most."""
    takeover_seconds: float = setting("HELIOGRAPH_DM_TAKEOVER_SECONDS", seconds(0.5, 60), default=2.0)
    """How long a partition's owner may be silent before the database gives it to another worker."""
    sends_per_second: int = setting("HELIOGRAPH_DM_SENDS_PER_SECOND", integer(1, 1_000_000), default=20)
    """Messages that a person may send per second, on average, to one process; a burst may be five times as large."""
    push_webhook_url: str | None = setting("HELIOGRAPH_DM_PUSH_WEBHOOK_URL", url("http", "https"), optional=True)
    """Told of new messages of people who aren't connected; nobody is told when absent."""
    push_webhook_secret: str | None = setting(
        "HELIOGRAPH_DM_PUSH_WEBHOOK_SECRET", text("a secret of 32 characters or more", min_length=32), optional=True
    )
    """Signs what the webhook is told; needed with an address."""
