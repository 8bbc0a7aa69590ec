"""The servers' settings: one source for the embedded stack and for compose.yaml.

The embedded servers read them from here; the files under deploy/ are written from here with `python -m devstack
render`, and tests/contract/test_compose.py fails when compose.yaml or one of those files says something else.
"""

from collections.abc import Mapping
from typing import Final

SERVICES: Final = ("feed_svc", "story_svc", "dm_svc", "media_svc")
"""The services, each with a Postgres database and role of its own name."""

POSTGRES: Final[Mapping[str, str]] = {
    # What an acknowledged commit rests on. These are the defaults; said here because promises depend on them.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Short queries only: compiling them costs more than it gains.
    "jit": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    # Benchmarks count queries with it.
    "shared_preload_libraries": "pg_stat_statements",
    # No value that a person wrote may reach a log.
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}

POSTGRES_INITDB: Final = (
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    # Not plain C: pg_trgm would drop letters beyond ASCII without a word.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C.UTF-8",
)

REDIS: Final[Mapping[str, str]] = {
    "appendonly": "yes",
    # "everysec" lost acknowledged writes in 4 of 53 kill -9 rounds, "always" none of 325,000.
    "appendfsync": "always",
    # Writing the file anew took a second, in which messages waited up to 0.4 s; from the default of 64 MB on, a minute
    # of messages brought it about.
    "auto-aof-rewrite-min-size": "256mb",
    # The append-only file is the only copy on disk.
    "save": '""',
    # Sorted sets of some hundred members stay in the compact form: a quarter of the memory of a skiplist.
    "zset-max-listpack-entries": "512",
    "zset-max-listpack-value": "64",
    # Nothing may vanish by eviction: stories would be gone before their time.
    "maxmemory-policy": "noeviction",
    "maxmemory": "512mb",
    # Numbered databases keep tests apart; services use 0.
    "databases": "128",
    "tcp-backlog": "511",
    "timeout": "0",
}

REDIS_SERVICE_RULES: Final = "~* &* +@all -@admin -@dangerous +info"
"""What a service may do in Redis: all but FLUSHALL, KEYS, CONFIG and their like."""

NATS: Final[Mapping[str, str]] = {
    "max_payload": "1MB",
    "write_deadline": '"10s"',
    "ping_interval": '"20s"',
}

NATS_JETSTREAM: Final[Mapping[str, str]] = {
    # The default syncs two minutes after the ack: acknowledged messages are lost when the power goes
    # (Jepsen, NATS 2.12.1). A sent message's ack is its commit here.
    "sync_interval": "always",
    "max_memory_store": "128MB",
    "max_file_store": "16GB",
}

NATS_MEMORY_LIMIT: Final = "192MiB"
"""GOMEMLIMIT of the NATS server."""

S3_FLAGS: Final[Mapping[str, str]] = {
    "ip.bind": "0.0.0.0",  # noqa: S104 - in a container; the embedded stack listens on the loopback only
    "master.telemetry": "false",
    "master.volumeSizeLimitMB": "256",
    "webdav": "false",
    "admin.ui": "false",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    # A list of origins makes a preflight of any other origin panic; presigned requests are what guards.
    "s3.allowedOrigins": "*",
    "s3.autoCreateBucket": "false",
    "volume.preStopSeconds": "0",
    # Else its volume server may ask the master a moment before that has found itself the leader again, and wait 5 s
    # (4 of 26 starts; none of 26 with this). The master learns everything from the volumes.
    "master.resumeState": "false",
}

S3_MEMORY_LIMIT: Final = "256MiB"
"""GOMEMLIMIT of SeaweedFS."""

S3_FILER_CONF: Final = '{"version":1,"locations":[{"locationPrefix":"/buckets/","fsync":true}]}'
"""SeaweedFS syncs nothing unless its filer is told so: with this, one fsync for each object."""

S3_METADATA: Final = "s3_metadata"
"""Database and role of the filer's metadata. Its own files are never synced: all of 150 objects were lost with the
power, although each had been synced itself."""

INCOMING_BUCKET: Final = "heliograph-incoming"
"""Fresh uploads, private."""
PHOTOS_BUCKET: Final = "heliograph-photos"
"""Photos of posts: public to read, immutable."""
PRIVATE_BUCKET: Final = "heliograph-private"
"""Photos of stories and messages: private, read by presigned addresses."""
BUCKETS: Final = (INCOMING_BUCKET, PHOTOS_BUCKET, PRIVATE_BUCKET)


FRONT_MEMORY_LIMIT: Final = "64MiB"
"""GOMEMLIMIT of Caddy, which passes what apps read and send."""


def public_read_policy(bucket: str) -> str:
    """The bucket policy that lets anyone read an object whose key they know; listing stays closed."""
    return (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
        f'"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::{bucket}/*"]}}]}}'
    )


NO_OVERRIDES: Final[Mapping[str, str]] = {}


def redis_conf(overrides: Mapping[str, str] = NO_OVERRIDES) -> str:
    """The configuration file's part that is the same wherever Redis runs."""
    return "".join(f"{name} {value}\n" for name, value in {**REDIS, **overrides}.items())


def nats_conf(*, store: str, overrides: Mapping[str, str] = NO_OVERRIDES) -> str:
    """The configuration file's part that is the same wherever NATS runs; `store` is the folder of the streams.

    `overrides` replace settings of JetStream.
    """
    lines = [f"{name}: {value}" for name, value in NATS.items()]
    lines += ["jetstream {", f'  store_dir: "{store}"']
    lines += [f"  {name}: {value}" for name, value in {**NATS_JETSTREAM, **overrides}.items()]
    return "\n".join([*lines, "}", ""])


def s3_filer_toml(*, hostname: str, port: int, password: str) -> str:
    """Where SeaweedFS' filer keeps names and places of objects: in Postgres, whose commits are durable."""
    return (
        "[leveldb2]\nenabled = false\n\n[postgres2]\nenabled = true\n"
        'createTable = """CREATE TABLE IF NOT EXISTS "%s" (dirhash BIGINT, name VARCHAR(65535), '
        'directory VARCHAR(65535), meta bytea, PRIMARY KEY (dirhash, name));"""\n'
        f'hostname = "{hostname}"\nport = {port}\nusername = "{S3_METADATA}"\npassword = "{password}"\n'
        f'database = "{S3_METADATA}"\nschema = ""\nsslmode = "disable"\n'
        "connection_max_idle = 8\nconnection_max_open = 24\n"
    )
