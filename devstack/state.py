"""state.json: where everything is. Written by the supervisor, read by everybody else."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from devstack.credentials import write_secret
from devstack.folder import StateFolder, is_running
from devstack.supervisor import Report, Status
from devstack.trouble import ConfigurationTrouble


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A stack as others need to know it: addresses with credentials, files, processes."""

    status: str
    """`starting`, `ready` or `stopping`."""
    supervisor_pid: int
    ports: Mapping[str, int]
    addresses: Mapping[str, str]
    """By name: `graphql`, `postgres`, `redis`, `nats`, `nats.monitor`, `s3`, `photos`, and each service's gRPC address.
    Those of the servers bear the credentials of an administrator."""
    environments: Mapping[str, Mapping[str, str]]
    """The HELIOGRAPH_* variables of every process by its name, and of `cli` for tools."""
    jwt_private_key: str
    """Path of the development key that signs tokens."""
    s3_access_key: str
    s3_secret_key: str
    children: Mapping[str, Report] = field(default_factory=dict)

    def environment(self, process: str) -> dict[str, str]:
        """The variables of a process: `feed_svc.serve`, `gateway.serve`, `cli`."""
        return dict(self.environments[process])

    def save(self, folder: StateFolder) -> None:
        """Write it in one step; only this account may read it."""
        write_secret(folder.state_file, json.dumps(dataclasses.asdict(self), indent=2), is_durable=False)

    @classmethod
    def load(cls, folder: StateFolder) -> Self:
        """The state of the running stack; `ConfigurationTrouble` if none runs on this folder."""
        if not is_running(folder):
            raise ConfigurationTrouble(f"No stack runs on {folder.path}. Start one with: make run")
        return cls.from_json(folder.state_file)

    @classmethod
    def from_json(cls, file: Path) -> Self:
        """The state that a file holds, whether or not its supervisor still lives."""
        values: dict[str, Any] = json.loads(file.read_text())
        values["children"] = {
            name: Report(pid=child["pid"], status=Status(child["status"]), starts=child["starts"])
            for name, child in values["children"].items()
        }
        return cls(**values)


def remembered_ports(folder: StateFolder) -> dict[str, int]:
    """The ports of the last start on this folder; none if there was no start or its file can't be read."""
    try:
        return dict(State.from_json(folder.state_file).ports)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
