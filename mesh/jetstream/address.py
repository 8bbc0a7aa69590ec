"""Addresses of NATS.

| address | what it opens |
| --- | --- |
| `nats://user:password@host:port` | one server |
| `nats://user:password@host:port,host:port,host:port?replicas=3` | a cluster, whose streams have so many copies |

How many copies there are is said here alone, once for every stream of every service.
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """Where the servers are."""

    servers: tuple[str, ...]
    """A URL for each."""
    replicas: int
    """On how many of them each stream is kept."""

    @classmethod
    def of(cls, url: str) -> "Address":
        """Read an address."""
        parts = urlsplit(url)
        login, _, hosts = parts.netloc.rpartition("@")
        before = f"{parts.scheme}://{login}@" if login else f"{parts.scheme}://"
        replicas = int(parse_qs(parts.query).get("replicas", ["1"])[0])
        return cls(tuple(before + host for host in hosts.split(",")), replicas)

    def __str__(self) -> str:
        """Return the hosts, without a password."""
        return ", ".join(server.rpartition("@")[2].rpartition("//")[2] for server in self.servers)
