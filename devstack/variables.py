"""The HELIOGRAPH_* variables of every process, and the addresses that state.json lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devstack.certificates import Authority
from devstack.credentials import Credentials
from devstack.faults import TcpProxy
from devstack.keys import AUDIENCE, TokenKey
from devstack.ports import HOST, PortBlock, is_free
from devstack.servers import S3, Nats, Postgres, Redis, Server
from devstack.services import GATEWAY, SERVE, TABLE, Instance
from devstack.settings import PHOTOS_BUCKET
from devstack.trouble import ConfigurationTrouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """Everything that the variables are made of."""

    ports: PortBlock
    credentials: Credentials
    servers: Mapping[str, Server]
    proxies: Mapping[str, TcpProxy]
    authority: Authority
    token_key: TokenKey
    gateway_listen: str | None
    instances: Sequence[Instance]

    def of(self, instance: Instance, *, node: int) -> dict[str, str]:
        """The variables of one process."""
        name = instance.service.name
        return {
            "HELIOGRAPH_ENV": "development",
            "HELIOGRAPH_NODE": str(node),
            "HELIOGRAPH_LISTEN": self._listen(instance),
            "HELIOGRAPH_METRICS_LISTEN": _local(self.ports.port(f"{instance.name}.metrics")),
            **self._tls(name),
            "HELIOGRAPH_JWT_KEYS": str(self.token_key.jwks_file),
            "HELIOGRAPH_JWT_AUDIENCE": AUDIENCE,
            "HELIOGRAPH_CURSOR_KEY": self.credentials.cursor_key,
            **self._service_addresses(),
            **self._servers_of(name, has_database=instance.service.migrates),
        }

    def of_cli(self) -> dict[str, str]:
        """The variables of command-line tools, which call services under the name `cli`."""
        return {
            "HELIOGRAPH_ENV": "development",
            **self._tls("cli"),
            "HELIOGRAPH_JWT_AUDIENCE": AUDIENCE,
            **self._service_addresses(),
        }

    def addresses(self) -> dict[str, str]:
        """Where everything is, for people, tests and tools."""
        addresses = {
            instance.service.name: self._listen(instance)
            for instance in self.instances
            if instance.role == SERVE and instance.number == 1
        }
        for server in self.servers.values():
            match server:
                case Postgres():
                    addresses["postgres"] = server.admin_dsn()
                case Redis():
                    addresses["redis"] = server.admin_url()
                case Nats():
                    addresses["nats"] = server.admin_url
                    addresses["nats.monitor"] = server.monitor_address
                case S3():
                    addresses["s3"] = server.endpoint
                    addresses["photos"] = f"{server.front}/{PHOTOS_BUCKET}"
        if GATEWAY.name in addresses:
            addresses["graphql"] = f"http://{addresses[GATEWAY.name]}/graphql"
        return addresses

    def _servers_of(self, name: str, *, has_database: bool) -> dict[str, str]:
        variables: dict[str, str] = {}
        for server in self.servers.values():
            address = self._reached_at(server.name, server.address)
            match server:
                case Nats():
                    variables["HELIOGRAPH_NATS_URL"] = server.url(name, address=address)
                    variables["HELIOGRAPH_NATS_MONITOR_URLS"] = server.monitor_address
                case Postgres() if has_database:
                    variables["HELIOGRAPH_POSTGRES_DSN"] = server.dsn(name, address=address)
                case Redis() if has_database:
                    is_direct = not server.is_watched or server.name in self.proxies
                    variables["HELIOGRAPH_REDIS_URL"] = (
                        server.url(name, address=address) if is_direct else server.watched_url(name)
                    )
                case S3() if has_database:
                    variables |= {
                        "HELIOGRAPH_S3_ENDPOINT": f"http://{address}",
                        "HELIOGRAPH_S3_ACCESS_KEY": self.credentials.s3_access_key,
                        "HELIOGRAPH_S3_SECRET_KEY": self.credentials.s3_secret_key,
                        "HELIOGRAPH_S3_PUBLIC_ENDPOINT": server.front,
                        "HELIOGRAPH_MEDIA_PUBLIC_URL": f"{server.front}/{PHOTOS_BUCKET}",
                    }
        return variables

    def _service_addresses(self) -> dict[str, str]:
        variables = {}
        for service in TABLE.values():
            if service.address_variable is not None:
                own = [i for i in self.instances if i.service.name == service.name and i.role == SERVE]
                listens = [self._listen(i) for i in own] or [_local(self.ports.port(f"{service.name}.serve"))]
                # Several processes: gRPC's own way to write a list of addresses, over which it balances.
                address = listens[0] if len(listens) == 1 else "ipv4:" + ",".join(listens)
                variables[service.address_variable] = self._reached_at(service.name, address)
        return variables

    def _listen(self, instance: Instance) -> str:
        if instance.service.name == GATEWAY.name and self.gateway_listen is not None and instance.number == 1:
            return _free(self.gateway_listen)
        return _local(self.ports.port(instance.name))

    def _reached_at(self, name: str, address: str) -> str:
        return self.proxies[name].address if name in self.proxies else address

    def _tls(self, name: str) -> dict[str, str]:
        certificate, key = self.authority.issue(name)
        return {
            "HELIOGRAPH_TLS_CA": str(self.authority.file),
            "HELIOGRAPH_TLS_CERT": str(certificate),
            "HELIOGRAPH_TLS_KEY": str(key),
        }


def _local(port: int) -> str:
    return f"{HOST}:{port}"


def _free(listen: str) -> str:
    """A host:port that was asked for, if it can be had."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigurationTrouble(f"{listen} is not an address to listen on: host:port is, like 127.0.0.1:8080")
    if not is_free(int(port), host=host):
        raise ConfigurationTrouble(f"The port of {listen} is in use. Stop what listens there, or choose another one.")
    return listen
