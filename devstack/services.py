"""The table of the product's processes: which service in which role, by which command, with which variables."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from devstack.folder import CHECKOUT, StateFolder
from devstack.process import Process, Spec, log_end
from devstack.supervisor import CONFIGURATION_STATUS
from devstack.trouble import ConfigurationTrouble, Trouble

SERVE, WORK = "serve", "work"


@dataclass(frozen=True, slots=True)
class Service:
    """A service as the stack runs it: `python -m NAME ROLE`."""

    name: str
    roles: tuple[str, ...] = (SERVE, WORK)
    migrates: bool = True
    """Whether it has a database of its own, brought up to date by `python -m NAME migrate` before it starts."""
    address_variable: str | None = None
    """By which variable the others are told its address."""
    folder: Path = CHECKOUT
    """Where `python -m` finds it."""


FEED = Service("feed_svc", address_variable="HELIOGRAPH_FEED_ADDRESS")
STORY = Service("story_svc", address_variable="HELIOGRAPH_STORY_ADDRESS")
DM = Service("dm_svc", address_variable="HELIOGRAPH_DM_ADDRESS")
MEDIA = Service("media_svc", address_variable="HELIOGRAPH_MEDIA_ADDRESS")
GATEWAY = Service("gateway", roles=(SERVE,), migrates=False)
TABLE: Mapping[str, Service] = {service.name: service for service in (FEED, STORY, DM, MEDIA, GATEWAY)}
"""Every service by name, in the order of their start."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One process of a service."""

    service: Service
    role: str
    number: int = 1
    """From 1; a role may run several times."""

    @property
    def name(self) -> str:
        """`feed_svc.work`; further ones are `feed_svc.work.2` and so on."""
        return f"{self.service.name}.{self.role}" + (f".{self.number}" if self.number > 1 else "")


def chosen(names: Iterable[str | Service]) -> list[Service]:
    """The services of these names; `ConfigurationTrouble` if there is none of a name."""
    services = []
    for name in names:
        if isinstance(name, str) and name not in TABLE:
            raise ConfigurationTrouble(f"There is no service {name}. There are: {', '.join(TABLE)}")
        services.append(TABLE[name] if isinstance(name, str) else name)
    return services


def instances(services: Sequence[Service], replicas: Mapping[str, int]) -> list[Instance]:
    """Every process to run; `replicas` says how many of `feed_svc.work`, say (1 if it doesn't)."""
    return [
        Instance(service, role, number)
        for service in services
        for role in service.roles
        for number in range(1, replicas.get(f"{service.name}.{role}", 1) + 1)
    ]


def spec(instance: Instance, variables: Mapping[str, str], folder: StateFolder) -> Spec:
    """How the process is run; it is ready when its /readyz says so."""
    # The gateway answers on the address that it serves.
    listen = variables["HELIOGRAPH_METRICS_LISTEN" if instance.service.migrates else "HELIOGRAPH_LISTEN"]

    async def ready() -> None:
        timeout = aiohttp.ClientTimeout(2)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{listen}/readyz") as response,
        ):
            response.raise_for_status()

    return Spec(
        name=instance.name,
        command=(sys.executable, "-m", instance.service.name, instance.role),
        environment={**inherited(), **variables},
        folder=instance.service.folder,
        log=folder.logs / f"{instance.name}.log",
        ready=ready,
    )


async def migrate(service: Service, variables: Mapping[str, str], folder: StateFolder) -> None:
    """Bring a service's database up to date; `Trouble` with the end of its output if it can't be."""
    process = Process.start(_migration(service, variables, folder))
    try:
        status = await process.exited()
    finally:
        process.kill_group()
    if status != 0:
        kind = ConfigurationTrouble if status == CONFIGURATION_STATUS else Trouble
        raise kind(f"{service.name} could not bring its database up to date.{log_end(process.spec.log)}")


def _migration(service: Service, variables: Mapping[str, str], folder: StateFolder) -> Spec:
    async def ready() -> None:
        """It answers nobody; it ends."""

    return Spec(
        name=f"{service.name}.migrate",
        command=(sys.executable, "-m", service.name, "migrate"),
        environment={**inherited(), **variables},
        folder=service.folder,
        log=folder.logs / f"{service.name}.migrate.log",
        ready=ready,
    )


def inherited() -> dict[str, str]:
    """Our environment without what would mislead a service: other HELIOGRAPH_* variables, and proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HELIOGRAPH_")
        and not name.lower().endswith("_proxy")
        # Without compiled files a start takes three times as long.
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**kept, "PYTHONUNBUFFERED": "1"}
