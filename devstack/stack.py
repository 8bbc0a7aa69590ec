"""The whole system as child processes of this one: servers, services and workers.

    async with Stack(folder, services=["feed_svc", "media_svc"]) as stack:
        stack.state.addresses["redis"]
        stack.kill("feed_svc.work", signal.SIGKILL)
        await stack.wait_ready("feed_svc.work")

What crashes is started again; `hold` keeps it down until `release`. Everything dies with this process, and with the
thread that entered the block.
"""

import asyncio
import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from devstack import services as table
from devstack.certificates import Authority
from devstack.credentials import Credentials
from devstack.faults import TcpProxy
from devstack.folder import FolderLock, StateFolder, default_folder
from devstack.keys import TokenKey
from devstack.migrations import migrate
from devstack.ports import HOST, PortBlock
from devstack.servers import S3, Nats, Postgres, Redis, Server
from devstack.services import Instance, Service
from devstack.settings import NO_OVERRIDES, S3_FILER_CONF, S3_METADATA, SERVICES
from devstack.state import State, remembered_ports
from devstack.supervisor import Status, Supervisor, all_of
from devstack.trouble import ConfigurationTrouble
from devstack.variables import Variables

T = TypeVar("T", bound=Server)

SERVERS = ("postgres", "nats", "redis", "s3")
ALL_SERVICES = tuple(table.TABLE)
CLI = "cli"
ONE_OF_EACH: Mapping[str, int] = {}
NO_SETTINGS: Mapping[str, Mapping[str, str]] = {}


class Stack:
    """An embedded stack, running inside of the `async with` block."""

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        services: Iterable[str | Service] = ALL_SERVICES,
        servers: Iterable[str] = SERVERS,
        replicas: Mapping[str, int] = ONE_OF_EACH,
        proxies: Iterable[str] = (),
        environment: Mapping[str, str] = NO_OVERRIDES,
        settings: Mapping[str, Mapping[str, str]] = NO_SETTINGS,
        gateway_listen: str | None = None,
        redis_failover: bool = False,
        nats_nodes: int = 1,
    ) -> None:
        """Nothing happens before the block is entered.

        folder: state folder (the checkout's by default); data is kept there and found again.
        services, servers: what to run, by name.
        replicas: how many processes of a role: `{"dm_svc.work": 2}`.
        proxies: servers and services that the services are to reach by way of a `TcpProxy`, see `proxy`.
        environment: further variables of every service.
        settings: servers' settings that differ from devstack/settings.py, by server; for S3 `{"filer_conf": ...}` and
            `{"metadata": "files"}`, which keeps its metadata out of Postgres.
        gateway_listen: host:port of the gateway, if not a free port of the loopback.
        redis_failover: Redis with a replica and Sentinel, by way of which the services reach it.
        nats_nodes: servers of a NATS cluster, each with a copy of every stream; 1 for no cluster.
        """
        self._redis_failover = redis_failover
        self._nats_nodes = nats_nodes
        self.folder = StateFolder(Path(folder).absolute() if folder else default_folder())
        self._services = table.chosen(services)
        self._server_names = _known_servers(servers)
        self._replicas = replicas
        self._proxy_names = tuple(proxies)
        self._environment = environment
        self._settings = settings
        self._gateway_listen = gateway_listen
        self._supervisor = Supervisor(self._save_soon)
        self._proxies: dict[str, TcpProxy] = {}
        self._servers: dict[str, Server] = {}
        self._undo = AsyncExitStack()
        self._state: State | None = None
        self._save_handle: asyncio.Handle | None = None

    async def __aenter__(self) -> Self:
        """Start everything; returns when all of it answers. `Trouble` says what to do if it can't."""
        try:
            await self._start()
        except BaseException:
            await self._undo.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, in reverse order."""
        self._set_status("stopping")
        await self._undo.aclose()

    @property
    def state(self) -> State:
        """Addresses, credentials, processes."""
        if self._state is None:
            raise RuntimeError("the stack hasn't been started")
        return dataclasses.replace(self._state, children=self._supervisor.reports)

    @property
    def ready(self) -> list[str]:
        """Names of the processes that answer, in the order of their start; also while the others still start."""
        return [name for name, report in self._supervisor.reports.items() if report.status is Status.READY]

    @property
    def postgres(self) -> Postgres:
        """The Postgres server."""
        return self._server(Postgres)

    @property
    def redis(self) -> Redis:
        """The Redis server."""
        return self._server(Redis)

    @property
    def nats(self) -> Nats:
        """The NATS server."""
        return self._server(Nats)

    @property
    def s3(self) -> S3:
        """The object store."""
        return self._server(S3)

    def proxy(self, name: str) -> TcpProxy:
        """The proxy before a server or service, if it was asked for."""
        return self._proxies[name]

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process. One that ends by it is started again, unless it is held."""
        self._supervisor.child(name).signal(number)

    def pause(self, name: str) -> None:
        """Stop a process where it stands (SIGSTOP): it keeps its connections and answers nobody."""
        self.kill(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a paused process go on."""
        self.kill(name, signal.SIGCONT)

    async def hold(self, name: str) -> None:
        """Kill a process and keep it down until `release`."""
        await self._supervisor.child(name).hold()

    def release(self, name: str) -> None:
        """Start a held process again; `wait_ready` waits for it."""
        self._supervisor.child(name).release()

    async def restart(self, name: str) -> None:
        """Stop a process in an orderly way, start it, wait until it is ready."""
        await self._supervisor.child(name).restart()

    async def wait_ready(self, name: str, *, within_seconds: float = 60.0) -> None:
        """Wait until a process answers."""
        await self._supervisor.child(name).wait_ready(within_seconds)

    def pid(self, name: str) -> int | None:
        """Process id, `None` while it is down."""
        return self._supervisor.child(name).pid

    def starts(self, name: str) -> int:
        """How many times a process was started; 1 if it never ended."""
        return self._supervisor.child(name).starts

    def log(self, name: str) -> str:
        """What a process has written since the stack was started."""
        return self._supervisor.child(name).spec.log.read_text(errors="replace")

    async def _start(self) -> None:
        self.folder.create()
        self._undo.enter_context(FolderLock(self.folder))
        self._rotate_logs()
        ports = PortBlock(remembered_ports(self.folder))
        self._undo.callback(ports.close)
        credentials = Credentials.load_or_make(self.folder.credentials_file)
        self._servers = self._make_servers(ports, credentials)
        instances = table.instances(self._services, self._replicas)
        await self._start_proxies(ports)
        self._state = await self._make_state(ports, credentials, instances)
        self._undo.push_async_callback(self._forget_processes)
        self._undo.push_async_callback(self._supervisor.stop)
        self._save()
        await self._start_servers()
        postgres = self.postgres if "postgres" in self._servers else None
        await migrate(self._services, self._state, self.folder, postgres)
        await self._supervisor.start(
            table.spec(instance, self._state.environment(instance.name), self.folder) for instance in instances
        )
        self._set_status("ready")

    async def _start_servers(self) -> None:
        servers = self._servers.values()
        await all_of(asyncio.to_thread(server.prepare) for server in servers)
        # The object store keeps its metadata in Postgres, so it comes after it.
        first = [server for server in servers if not isinstance(server, S3)]
        for group in (first, [server for server in servers if isinstance(server, S3)]):
            await self._supervisor.start(process for server in group for process in server.processes())
            await all_of(server.set_up() for server in group)

    def _make_servers(self, ports: PortBlock, credentials: Credentials) -> dict[str, Server]:
        names = [*SERVICES, *(service.name for service in self._services if service.name not in SERVICES)]
        settings = {name: self._settings.get(name, NO_OVERRIDES) for name in SERVERS}
        common = (self.folder, ports, credentials)
        stores = [S3_METADATA] if {"postgres", "s3"} <= set(self._server_names) else []
        metadata_address = f"{HOST}:{ports.port('postgres')}" if stores else None
        makers: dict[str, Callable[[], Server]] = {
            "postgres": lambda: Postgres(*common, databases=[*names, *stores], overrides=settings["postgres"]),
            "nats": lambda: Nats(*common, users=names, overrides=settings["nats"], nodes=self._nats_nodes),
            "redis": lambda: Redis(*common, users=names, overrides=settings["redis"], is_watched=self._redis_failover),
            "s3": lambda: S3(
                *common,
                filer_conf=settings["s3"].get("filer_conf", S3_FILER_CONF),
                metadata_address=metadata_address if settings["s3"].get("metadata", "postgres") == "postgres" else None,
            ),
        }
        return {name: makers[name]() for name in self._server_names}

    async def _start_proxies(self, ports: PortBlock) -> None:
        for name in self._proxy_names:
            target = self._servers[name].address if name in self._servers else f"{HOST}:{ports.port(f'{name}.serve')}"
            proxy = TcpProxy(target, listen_port=ports.port(f"{name}.proxy"))
            self._proxies[name] = await self._undo.enter_async_context(proxy)

    async def _make_state(self, ports: PortBlock, credentials: Credentials, instances: list[Instance]) -> State:
        variables = Variables(
            ports=ports,
            credentials=credentials,
            servers=self._servers,
            proxies=self._proxies,
            authority=await asyncio.to_thread(Authority, self.folder.path / "tls"),
            token_key=TokenKey(self.folder.path / "jwt"),
            gateway_listen=self._gateway_listen,
            instances=instances,
        )
        environments = {
            instance.name: {**variables.of(instance, node=node), **self._environment}
            for node, instance in enumerate(instances, start=1)
        }
        return State(
            status="starting",
            supervisor_pid=os.getpid(),
            ports=ports.ports,
            addresses=variables.addresses(),
            environments={**environments, CLI: variables.of_cli()},
            jwt_private_key=str(variables.token_key.private_file),
            s3_access_key=credentials.s3_access_key,
            s3_secret_key=credentials.s3_secret_key,
        )

    def _server(self, kind: type[T]) -> T:
        for server in self._servers.values():
            if isinstance(server, kind):
                return server
        raise ConfigurationTrouble(f"This stack was started without {kind.__name__}")

    def _rotate_logs(self) -> None:
        for log in self.folder.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))

    def _set_status(self, status: str) -> None:
        if self._state is not None:
            self._state = dataclasses.replace(self._state, status=status)
            self._save()

    def _save_soon(self) -> None:
        if self._save_handle is None and self._state is not None:
            self._save_handle = asyncio.get_running_loop().call_soon(self._save)

    def _save(self) -> None:
        self._save_handle = None
        # A full disk or a deleted folder is no reason to stop supervising.
        with contextlib.suppress(OSError):
            self.state.save(self.folder)

    async def _forget_processes(self) -> None:
        if self._save_handle is not None:
            self._save_handle.cancel()
        self._set_status("stopped")


def _known_servers(names: Iterable[str]) -> list[str]:
    wanted = list(names)
    for name in wanted:
        if name not in SERVERS:
            raise ConfigurationTrouble(f"There is no server {name}. There are: {', '.join(SERVERS)}")
    return wanted
