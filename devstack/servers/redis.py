"""Redis, by Valkey: a primary, synced at every write, with a user for each service; a replica and Sentinel if wanted.

With them, `redis` is the primary when the stack starts, `redis.replica` follows it, and `redis.sentinel` makes the
replica the primary when the first one is away for more than a second. One Sentinel is enough on one machine; a
deployment has three.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from redis.asyncio import Redis as Client

from devstack.credentials import ADMIN, Credentials, write_secret
from devstack.folder import StateFolder
from devstack.ports import HOST, PortBlock
from devstack.process import Spec
from devstack.servers.binaries import valkey_server
from devstack.servers.server import Server, environment
from devstack.settings import NO_OVERRIDES, REDIS_SERVICE_RULES, redis_conf

WATCHED_NAME = "heliograph"
"""Under this name Sentinel knows the primary."""
DOWN_AFTER_MS = 1_000
FAILOVER_TIMEOUT_MS = 5_000

_ASK_SENTINEL = "+sentinel|masters +sentinel|slaves +sentinel|get-master-addr-by-name"


class Redis(Server):
    """The embedded Redis server."""

    name: ClassVar[str] = "redis"

    def __init__(
        self,
        folder: StateFolder,
        ports: PortBlock,
        credentials: Credentials,
        *,
        users: Iterable[str],
        overrides: Mapping[str, str] = NO_OVERRIDES,
        is_watched: bool = False,
    ) -> None:
        """`users` are the services that may connect; `overrides` replace settings, for experiments and sabotages.

        `is_watched`: with a replica and Sentinel.
        """
        self._folder = folder.path / "redis"
        self._logs = folder.logs
        self.is_watched = is_watched
        self._replica_port = ports.port("redis.replica", twin=True) if is_watched else 0
        self._sentinel_port = ports.port("redis.sentinel") if is_watched else 0
        # The twin stays free for the bus of a cluster node.
        self._port = ports.port("redis", twin=True)
        self._credentials = credentials
        self._overrides = overrides
        self._users = tuple(users)

    @property
    def address(self) -> str:
        """host:port."""
        return f"{HOST}:{self._port}"

    def url(self, service: str, *, address: str | None = None, database: int = 0) -> str:
        """Address for a service, with its user and password; by way of a proxy at `address`."""
        user = f"{quote(service)}:{quote(self._credentials.password(service))}"
        return f"redis://{user}@{address or self.address}/{database}"

    def watched_url(self, service: str) -> str:
        """Address for a service by way of Sentinel: whichever server is the primary."""
        user = f"{quote(service)}:{quote(self._credentials.password(service))}"
        return f"redis+sentinel://{user}@{HOST}:{self._sentinel_port}/0?primary={WATCHED_NAME}"

    def admin_url(self, *, database: int = 0) -> str:
        """Address for tests and tools; every command is allowed."""
        return self._admin_url(self._port, database)

    def replica_admin_url(self) -> str:
        """The same for the server that is the replica when the stack starts."""
        return self._admin_url(self._replica_port, 0)

    def sentinel_admin_url(self) -> str:
        """The same for Sentinel."""
        return self._admin_url(self._sentinel_port, 0)

    def prepare(self) -> None:
        """Write the configuration files and the lists of users; the newest data belong to the primary."""
        if self.is_watched:
            self._follow_last_failover()
        users = [f"user default on >{self._credentials.password(ADMIN)} ~* &* +@all"]
        asking = list(users)
        for user in self._users:
            users.append(f"user {user} on >{self._credentials.password(user)} {REDIS_SERVICE_RULES}")
            asking.append(
                f"user {user} on >{self._credentials.password(user)} ~* &* -@all +@connection {_ASK_SENTINEL}"
            )
        self._folder_of("data")
        write_secret(self._folder / "users.acl", "\n".join(users) + "\n")
        self._write_node("redis.conf", "data", self._port)
        if self.is_watched:
            write_secret(self._folder / "sentinel.acl", "\n".join(asking) + "\n")
            self._write_node("replica.conf", "replica-data", self._replica_port, f"replicaof {HOST} {self._port}")
            self._write_sentinel()

    def processes(self) -> Sequence[Spec]:
        """The primary; replica and Sentinel if they were asked for."""
        specs = [self._spec(self.name, ("redis.conf",), self._ready)]
        if self.is_watched:
            specs.append(self._spec("redis.replica", ("replica.conf",), self._replica_ready))
            specs.append(self._spec("redis.sentinel", ("sentinel.conf", "--sentinel"), self._sentinel_ready))
        return specs

    async def set_up(self) -> None:
        """Nothing: the services load their functions."""

    def _admin_url(self, port: int, database: int) -> str:
        return f"redis://default:{quote(self._credentials.password(ADMIN))}@{HOST}:{port}/{database}"

    def _folder_of(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _write_node(self, file: str, data: str, port: int, *more: str) -> None:
        lines = [
            f"bind {HOST}",
            f"port {port}",
            f'dir "{self._folder_of(data)}"',
            f'aclfile "{self._folder / "users.acl"}"',
            "daemonize no",
            # Whichever is the replica shows these to the primary.
            "masteruser default",
            f"masterauth {self._credentials.password(ADMIN)}",
            # There is one replica: no second one is waited for, five seconds long, before it is given the data.
            "repl-diskless-sync-delay 0",
            *more,
        ]
        write_secret(self._folder / file, redis_conf(self._overrides) + "\n".join(lines) + "\n")

    def _write_sentinel(self) -> None:
        lines = [
            f"bind {HOST}",
            f"port {self._sentinel_port}",
            f'dir "{self._folder_of("sentinel-data")}"',
            f'aclfile "{self._folder / "sentinel.acl"}"',
            "daemonize no",
            f"sentinel monitor {WATCHED_NAME} {HOST} {self._port} 1",
            f"sentinel auth-user {WATCHED_NAME} default",
            f"sentinel auth-pass {WATCHED_NAME} {self._credentials.password(ADMIN)}",
            f"sentinel down-after-milliseconds {WATCHED_NAME} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {WATCHED_NAME} {FAILOVER_TIMEOUT_MS}",
        ]
        write_secret(self._folder / "sentinel.conf", "\n".join(lines) + "\n")

    def _follow_last_failover(self) -> None:
        """If the replica was the primary when the stack ended, give its data to the primary of this start."""
        watched = _number_in(self._folder / "sentinel.conf", rf"sentinel monitor {WATCHED_NAME} \S+ (\d+)")
        if watched is None or watched != _number_in(self._folder / "replica.conf", r"port (\d+)"):
            return
        data, replica_data, aside = (self._folder / name for name in ("data", "replica-data", "aside"))
        data.rename(aside)
        replica_data.rename(data)
        aside.rename(replica_data)

    def _spec(self, name: str, arguments: tuple[str, ...], ready: Callable[[], Awaitable[None]]) -> Spec:
        return Spec(
            name=name,
            command=(str(valkey_server()), *arguments),
            environment=environment(self._folder),
            folder=self._folder,
            log=self._logs / f"{name}.log",
            ready=ready,
        )

    async def _ready(self) -> None:
        await self._answers(self.admin_url())

    async def _replica_ready(self) -> None:
        await self._answers(self.replica_admin_url())

    async def _sentinel_ready(self) -> None:
        await self._answers(self.sentinel_admin_url())

    async def _answers(self, url: str) -> None:
        async with Client.from_url(url, socket_connect_timeout=1, socket_timeout=1) as client:
            # A server that still reads its file answers with an error.
            await client.ping()


def _number_in(file: Path, pattern: str) -> int | None:
    """The number that a configuration file, possibly rewritten by the server, holds in a line of its own."""
    found = re.search(rf"^{pattern}\b", file.read_text() if file.exists() else "", re.MULTILINE)
    return int(found[1]) if found else None
