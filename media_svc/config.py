"""Settings of media_svc."""

import os
from dataclasses import dataclass

from mesh.config import (
    NATS_URL,
    PostgresConfig,
    ProcessConfig,
    S3Config,
    TlsConfig,
    TokenConfig,
    integer,
    seconds,
    setting,
    text,
)

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class QuotaConfig:
    """What one person may upload."""

    uploads_per_day: int = setting("HELIOGRAPH_MEDIA_UPLOADS_PER_DAY", integer(1, 1_000_000), default=500)
    """Uploads begun within 24 hours, whatever becomes of them."""
    bytes_per_day: int = setting("HELIOGRAPH_MEDIA_BYTES_PER_DAY", integer(1, 1 << 50), default=4 * GIB)
    """Sum of the declared sizes of those uploads."""
    open_uploads: int = setting("HELIOGRAPH_MEDIA_OPEN_UPLOADS", integer(1, 10_000), default=50)
    """Uploads that are PENDING or PROCESSING at once."""


@dataclass(frozen=True, slots=True)
class Config:
    """Read once, in `__main__`."""

    process: ProcessConfig
    tls: TlsConfig
    tokens: TokenConfig
    postgres: PostgresConfig
    s3: S3Config
    quota: QuotaConfig
    nats_url: str = setting("HELIOGRAPH_NATS_URL", NATS_URL)
    cursor_key: str = setting("HELIOGRAPH_CURSOR_KEY", text("a secret of 32 characters or more", min_length=32))
    decoders: int = setting("HELIOGRAPH_MEDIA_DECODERS", integer(1, 256), default=os.cpu_count() or 1)
    """Pictures that one worker process decodes at once, each in a child of its own."""
    sweep_seconds: float = setting("HELIOGRAPH_MEDIA_SWEEP_SECONDS", seconds(), default=30.0)
    """Pause between looks for uploads that were left behind."""
    reconcile_seconds: float = setting("HELIOGRAPH_MEDIA_RECONCILE_SECONDS", seconds(), default=6 * 3600.0)
    """Pause between comparisons of all rows with all objects."""
