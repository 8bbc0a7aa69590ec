"""NATS with JetStream, synced at every write: one server, or a cluster whose streams have a copy on each node."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True, slots=True)
class _Node:
    """One server: its name, its files in the folder, its addresses."""

    name: str
    server_name: str
    conf: str
    data: str
    address: str
    monitor: str
    route: str

    @classmethod
    def numbered(cls, number: int, ports: PortBlock, *, is_alone: bool) -> "_Node":
        """The first one keeps the names that it has when it is alone."""
        suffix = "" if number == 1 else f".{number}"
        return cls(
            name=f"nats{suffix}",
            server_name="heliograph" if is_alone else f"heliograph-{number}",
            conf=f"nats{suffix}.conf",
            data=f"data{suffix}",
            address=f"{HOST}:{ports.port(f'nats{suffix}')}",
            monitor=f"{HOST}:{ports.port(f'nats{suffix}.monitor')}",
            route="" if is_alone else f"{HOST}:{ports.port(f'nats{suffix}.route')}",
        )


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
        nodes: int = 1,
    ) -> None:
        """`users` are the services that may connect; `overrides` replace settings of JetStream, for experiments
        and sabotages. `nodes`: servers of the cluster; 1: no cluster.
        """
        self._folder = folder.path / "nats"
        self._logs = folder.logs
        self._nodes = [_Node.numbered(number, ports, is_alone=nodes == 1) for number in range(1, nodes + 1)]
        self._credentials = credentials
        self._overrides = overrides
        self._users = tuple(users)

    @property
    def address(self) -> str:
        """host:port of clients; of a cluster all, separated by commas."""
        return ",".join(node.address for node in self._nodes)

    @property
    def monitor_address(self) -> str:
        """Address of the HTTP monitor (/varz, /jsz, /healthz); of a cluster all, separated by commas."""
        return ",".join(f"http://{node.monitor}" for node in self._nodes)

    @property
    def node_names(self) -> list[str]:
        """The processes: `nats`, and in a cluster `nats.2` and so on."""
        return [node.name for node in self._nodes]

    def url(self, service: str, *, address: str | None = None) -> str:
        """Address for a service, with its user and password; by way of a proxy at `address`."""
        login = f"{quote(service)}:{quote(self._credentials.password(service))}"
        return f"nats://{login}@{address or self.address}{self._copies}"

    @property
    def admin_url(self) -> str:
        """Address for tests and tools."""
        return self.url(ADMIN)

    def prepare(self) -> None:
        """Write the configuration files."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        users = {user: self._credentials.password(user) for user in (ADMIN, *self._users)}
        for node in self._nodes:
            lines = [
                f"server_name: {node.server_name}",
                f'listen: "{node.address}"',
                f'http: "{node.monitor}"',
                nats_conf(store=str(self._folder / node.data), overrides=self._overrides),
                "authorization { users: [",
                *(f'  {{ user: "{user}", password: "{password}" }}' for user, password in users.items()),
                "] }",
                *self._cluster_of(node),
            ]
            write_secret(self._folder / node.conf, "\n".join(lines) + "\n")

    def processes(self) -> Sequence[Spec]:
        """One server, or the nodes of the cluster."""
        return [
            Spec(
                name=node.name,
                command=(str(script("nats-server")), "-c", str(self._folder / node.conf)),
                environment=environment(self._folder, GOMEMLIMIT=NATS_MEMORY_LIMIT),
                folder=self._folder,
                log=self._logs / f"{node.name}.log",
                ready=partial(self._ready, node),
            )
            for node in self._nodes
        ]

    async def set_up(self) -> None:
        """Nothing: the services declare their streams."""

    @property
    def _copies(self) -> str:
        return f"?replicas={len(self._nodes)}" if len(self._nodes) > 1 else ""

    def _cluster_of(self, node: "_Node") -> list[str]:
        if len(self._nodes) == 1:
            return []
        password = self._credentials.password(ADMIN)
        routes = ", ".join(f'"nats://{ADMIN}:{quote(password)}@{one.route}"' for one in self._nodes if one is not node)
        return [
            "cluster {",
            "  name: heliograph",
            f'  listen: "{node.route}"',
            f'  authorization {{ user: "{ADMIN}", password: "{password}" }}',
            f"  routes: [{routes}]",
            "}",
        ]

    async def _ready(self, node: "_Node") -> None:
        async def ignore(error: Exception) -> None:
            """The failure is raised by `connect` as well."""

        async with asyncio.timeout(2):
            client = await nats.connect(
                f"nats://{ADMIN}:{quote(self._credentials.password(ADMIN))}@{node.address}",
                error_cb=ignore,
                max_reconnect_attempts=1,
                reconnect_time_wait=0.02,
                connect_timeout=1,
            )
            try:
                await client.jetstream(timeout=1).account_info()
            finally:
                await client.close()
