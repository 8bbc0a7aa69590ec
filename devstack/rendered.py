"""The files under deploy/ that are written from devstack/settings.py, for compose.yaml: `python -m devstack render`."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from devstack.folder import CHECKOUT
from devstack.settings import (
    BUCKETS,
    PHOTOS_BUCKET,
    POSTGRES,
    S3_FILER_CONF,
    S3_METADATA,
    SERVICES,
    nats_conf,
    public_read_policy,
    redis_conf,
    s3_filer_toml,
)

DEPLOY = CHECKOUT / "deploy"
NOTICE = "Written by `python -m devstack render` from devstack/settings.py."


def _postgres_conf() -> str:
    lines = [f"{name} = '{value}'" for name, value in {**POSTGRES, "listen_addresses": "*"}.items()]
    return "\n".join([f"# {NOTICE}", *lines, ""])


def _postgres_databases() -> str:
    """A role and a database for each service; its password is the one that compose.yaml sets."""
    lines = ["#!/bin/sh", f"# {NOTICE}", "# Runs once, when the container makes its data folder.", "set -eu"]
    for service in (*SERVICES, S3_METADATA):
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


def compose_passwords() -> str:
    """Fresh values for the variables that compose.yaml asks for, as an env file."""
    names = [f"{service.upper()}_PASSWORD" for service in (*SERVICES, S3_METADATA)]
    names += ["POSTGRES_PASSWORD", "NATS_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD"]
    names += ["S3_ACCESS_KEY", "S3_SECRET_KEY", "CURSOR_KEY"]
    return "".join(f"{name}={secrets.token_hex(24)}\n" for name in names)


FILES: Mapping[Path, str] = {
    DEPLOY / "postgres" / "postgresql.conf": _postgres_conf(),
    DEPLOY / "postgres" / "databases.sh": _postgres_databases(),
    DEPLOY / "redis" / "redis.conf": f"# {NOTICE}\n{redis_conf()}",
    DEPLOY / "nats" / "nats.conf": _nats_conf(),
    # The password comes from the environment: WEED_POSTGRES2_PASSWORD.
    DEPLOY / "s3" / "filer.toml": f"# {NOTICE}\n{s3_filer_toml(hostname='postgres', port=5432, password='')}",
    DEPLOY / "s3" / "filer.conf": S3_FILER_CONF + "\n",
    DEPLOY / "s3" / "public-read.json": public_read_policy(PHOTOS_BUCKET) + "\n",
    DEPLOY / "s3" / "buckets": "".join(f"{bucket}\n" for bucket in BUCKETS),
}
"""Content by path."""
