"""Redis, by Valkey: one primary, synced at every write, with a user for each service."""

from collections.abc import Iterable, Mapping, Sequence
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
    ) -> None:
        """`users` are the services that may connect; `overrides` replace settings, for experiments and sabotages."""
        self._folder = folder.path / "redis"
        self._log = folder.logs / "redis.log"
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

    def admin_url(self, *, database: int = 0) -> str:
        """Address for tests and tools; every command is allowed."""
        return f"redis://default:{quote(self._credentials.password(ADMIN))}@{self.address}/{database}"

    def prepare(self) -> None:
        """Write the configuration file and the list of users."""
        data, acl = self._folder / "data", self._folder / "users.acl"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        users = [f"user default on >{self._credentials.password(ADMIN)} ~* &* +@all"]
        users += [f"user {user} on >{self._credentials.password(user)} {REDIS_SERVICE_RULES}" for user in self._users]
        write_secret(acl, "\n".join(users) + "\n")
        lines = [f"bind {HOST}", f"port {self._port}", f'dir "{data}"', f'aclfile "{acl}"', "daemonize no"]
        write_secret(self._folder / "redis.conf", redis_conf(self._overrides) + "\n".join(lines) + "\n")

    def processes(self) -> Sequence[Spec]:
        """One primary."""
        return [
            Spec(
                name=self.name,
                command=(str(valkey_server()), "redis.conf"),
                environment=environment(self._folder),
                folder=self._folder,
                log=self._log,
                ready=self._ready,
            )
        ]

    async def set_up(self) -> None:
        """Nothing: the services load their functions."""

    async def _ready(self) -> None:
        async with Client.from_url(self.admin_url(), socket_connect_timeout=1, socket_timeout=1) as client:
            # A server that still reads its file answers with an error.
            await client.ping()
