"""The files under deploy/ that are written from devstack/settings.py, for compose.yaml: `python -m devstack render`."""

from collections.abc import Mapping
from pathlib import Path

from devstack.folder import CHECKOUT
from devstack.settings import (
    BUCKETS,
    PHOTOS_BUCKET,
    POSTGRES,
    S3_FILER_CONF,
    SERVICES,
    nats_conf,
    public_read_policy,
    redis_conf,
)

DEPLOY = CHECKOUT / "deploy"
NOTICE = "Written by `python -m devstack render` from devstack/settings.py."


def _postgres_conf() -> str:
    lines = [f"{name} = '{value}'" for name, value in {**POSTGRES, "listen_addresses": "*"}.items()]
    return "\n".join([f"# {NOTICE}", *lines, ""])


def _postgres_databases() -> str:
    """A role and a database for each service; its password is the one that compose.yaml sets."""
    lines = ["#!/bin/sh", f"# {NOTICE}", "# Runs once, when the container makes its data folder.", "set -eu"]
    for service in SERVICES:
        variable = f"{service.upper()}_PASSWORD"
        lines += [
            f'psql --username "$POSTGRES_USER" --set=password="${variable}" <<-\'SQL\'',
            f"\tCREATE ROLE {service} LOGIN PASSWORD :'password';",
            f"\tCREATE DATABASE {service} OWNER {service};",
            f"\tREVOKE ALL ON DATABASE {service} FROM PUBLIC;",
            "SQL",
        ]
    return "\n".join([*lines, ""])


def _nats_conf() -> str:
    return (
        f"# {NOTICE}\nserver_name: $NATS_NAME\nhttp: 8222\n{nats_conf(store='/data')}"
        "authorization { user: $NATS_USER, password: $NATS_PASSWORD }\n"
    )


FILES: Mapping[Path, str] = {
    DEPLOY / "postgres" / "postgresql.conf": _postgres_conf(),
    DEPLOY / "postgres" / "databases.sh": _postgres_databases(),
    DEPLOY / "redis" / "redis.conf": f"# {NOTICE}\n{redis_conf()}",
    DEPLOY / "nats" / "nats.conf": _nats_conf(),
    DEPLOY / "s3" / "filer.conf": S3_FILER_CONF + "\n",
    DEPLOY / "s3" / "public-read.json": public_read_policy(PHOTOS_BUCKET) + "\n",
    DEPLOY / "s3" / "buckets": "".join(f"{bucket}\n" for bucket in BUCKETS),
}
"""Content by path."""
