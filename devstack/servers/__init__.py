"""The four servers, each from a wheel: Postgres, NATS with JetStream, Redis (Valkey) and S3 (SeaweedFS)."""

from devstack.servers.nats import Nats
from devstack.servers.postgres import Postgres
from devstack.servers.redis import Redis
from devstack.servers.s3 import S3
from devstack.servers.server import Server

__all__ = ["S3", "Nats", "Postgres", "Redis", "Server"]
