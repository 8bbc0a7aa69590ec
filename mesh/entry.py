"""The entry point of a service: `python -m feed_svc serve|work|migrate|all`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from mesh import lifecycle
from mesh.config import PostgresConfig, ProcessConfig, exit_with_usage, load_or_exit
from mesh.errors import RefusedToServe
from mesh.lifecycle import Process
from mesh.migrations import migrate
from mesh.postgres import PostgresUnavailable
from mesh.telemetry import get_logger, set_up_logging

SERVE = "serve"
WORK = "work"
ROLES = {SERVE: frozenset({SERVE}), WORK: frozenset({WORK}), "all": frozenset({SERVE, WORK})}
"""`serve` answers calls, `work` runs consumers and timers, `all` does both in one process."""

_log = get_logger(__name__)


class ServiceConfig(Protocol):
    """What every service's config has."""

    @property
    def process(self) -> ProcessConfig:
        """Return the settings of the process."""
        ...

    @property
    def postgres(self) -> PostgresConfig:
        """Return the settings of the service's database."""
        ...


C = TypeVar("C", bound=ServiceConfig)


def main(
    service: str,
    shape: type[C],
    start: Callable[[Process, C, frozenset[str]], Awaitable[None]],
    *,
    components: Sequence[str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
) -> int:
    """Read the settings, do what the one argument says, return the exit status.

    `components` are the packages whose migrations make up the database. Wrong settings or arguments: status 2.
    """
    commands = [*ROLES, "migrate"]
    if len(arguments) != 1 or arguments[0] not in commands:
        exit_with_usage(f"usage: python -m {service} {'|'.join(commands)}")
    command = arguments[0]
    config = load_or_exit(shape, environment)
    set_up_logging(config.process.environment, f"{service}.{command}")
    if command == "migrate":
        return _migrate(config.postgres.dsn, components)
    return lifecycle.main(lambda process: start(process, config, ROLES[command]))


def _migrate(dsn: str, components: Sequence[str]) -> int:
    try:
        applied = asyncio.run(migrate(dsn, list(components)))
    except RefusedToServe as refusal:
        _log.error("refused_to_migrate", why=str(refusal))
        return lifecycle.REFUSED
    except PostgresUnavailable as error:
        _log.error("migration_failed", why=str(error), cause=repr(error.__cause__))
        return lifecycle.FAILED
    _log.info("migrated", applied=[f"{step.component} {step.number:04}" for step in applied])
    return 0
