"""NATS with JetStream, synced at every write."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar
from urllib.parse import quote

import nats

from devstack.credentials import ADMIN, Credentials, write_secret
from devstack.folder import StateFolder
from devstack.ports import HOST, PortBlock
from devstack.process import Spec
from devstack.servers.binaries import script
from devstack.servers.server import Server, environment
from devstack.settings import NATS_MEMORY_LIMIT, NO_OVERRIDES, nats_conf


class Nats(Server):
    """The embedded NATS server."""

    name: ClassVar[str] = "nats"

    def __init__(
        self,
        folder: StateFolder,
        ports: PortBlock,
        credentials: Credentials,
        *,
        users: Iterable[str],
        overrides: Mapping[str, str] = NO_OVERRIDES,
    ) -> None:
        """`users` are the services that may connect; `overrides` replace settings of JetStream, for experiments
        and sabotages.
        """
        self._folder = folder.path / "nats"
        self._log = folder.logs / "nats.log"
        self._port = ports.port("nats")
        self._monitor_port = ports.port("nats.monitor")
        self._credentials = credentials
        self._overrides = overrides
        self._users = tuple(users)

    @property
    def address(self) -> str:
        """host:port of clients."""
        return f"{HOST}:{self._port}"

    @property
    def monitor_address(self) -> str:
        """Address of the HTTP monitor (/varz, /jsz, /healthz)."""
        return f"http://{HOST}:{self._monitor_port}"

    def url(self, service: str, *, address: str | None = None) -> str:
        """Address for a service, with its user and password; by way of a proxy at `address`."""
        return f"nats://{quote(service)}:{quote(self._credentials.password(service))}@{address or self.address}"

    @property
    def admin_url(self) -> str:
        """Address for tests and tools."""
        return f"nats://{ADMIN}:{quote(self._credentials.password(ADMIN))}@{self.address}"

    def prepare(self) -> None:
        """Write the configuration file."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        users = {user: self._credentials.password(user) for user in (ADMIN, *self._users)}
        lines = [
            "server_name: heliograph",
            f'listen: "{self.address}"',
            f'http: "{HOST}:{self._monitor_port}"',
            nats_conf(store=str(self._folder / "data"), overrides=self._overrides),
            "authorization { users: [",
            *(f'  {{ user: "{user}", password: "{password}" }}' for user, password in users.items()),
            "] }",
        ]
        write_secret(self._folder / "nats.conf", "\n".join(lines) + "\n")

    def processes(self) -> Sequence[Spec]:
        """One server."""
        return [
            Spec(
                name=self.name,
                command=(str(script("nats-server")), "-c", str(self._folder / "nats.conf")),
                environment=environment(self._folder, GOMEMLIMIT=NATS_MEMORY_LIMIT),
                folder=self._folder,
                log=self._log,
                ready=self._ready,
            )
        ]

    async def set_up(self) -> None:
        """Nothing: the services declare their streams."""

    async def _ready(self) -> None:
        async def ignore(error: Exception) -> None:
            """The failure is raised by `connect` as well."""

        async with asyncio.timeout(2):
            client = await nats.connect(
                self.admin_url, error_cb=ignore, max_reconnect_attempts=1, reconnect_time_wait=0.02, connect_timeout=1
            )
            try:
                await client.jetstream(timeout=1).account_info()
            finally:
                await client.close()
