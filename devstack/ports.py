"""Ports: a block of a hundred for each stack, so that two stacks never meet.

The first port of a block is its guard: the supervisor listens on it for as long as it lives. Binding it is atomic,
so two stacks that start in the same moment, also of different people, can't choose the same block. All blocks lie
between 12,700 and 22,700: outside of the ports that the kernel gives to outgoing connections, and their gRPC twins
at +10,000 (SeaweedFS), which lie between 22,700 and 32,700, too.
"""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from devstack.trouble import ConfigurationTrouble

HOST = "127.0.0.1"
FIRST, LAST, BLOCK = 12_700, 22_700, 100
TWIN = 10_000
"""SeaweedFS listens for gRPC, and a Redis cluster for its bus, that far above their ports."""


class PortBlock:
    """The ports of one stack by name; a name keeps its port as long as nobody else has taken it."""

    def __init__(self, remembered: Mapping[str, int]) -> None:
        """Claim the block of the remembered ports, or the first free one."""
        self._guard, self._base = _claim(remembered)
        kept = self._base < min(remembered.values(), default=0) < self._base + BLOCK
        self._ports = dict(remembered) if kept else {}
        self._checked: set[str] = set()

    @property
    def ports(self) -> dict[str, int]:
        """Every port that was given out, by name."""
        return dict(self._ports)

    def port(self, name: str, *, twin: bool = False, usable: Callable[[int], bool] | None = None) -> int:
        """The port of `name`: the same at every call, free when it is first asked for.

        With `twin` the port 10,000 above is free as well. `usable` can refuse a port for another reason.
        """
        if name in self._checked:
            return self._ports[name]
        taken = set(self._ports.values())
        remembered = [self._ports[name]] if name in self._ports else []
        for port in remembered + [n for n in range(self._base + 1, self._base + BLOCK) if n not in taken]:
            if is_free(port) and (not twin or is_free(port + TWIN)) and (usable is None or usable(port)):
                self._ports[name] = port
                self._checked.add(name)
                return port
        raise ConfigurationTrouble(
            f"No port for {name} is free between {self._base} and {self._base + BLOCK}. "
            "Stop what listens there, or start again: another block is chosen while this one is in use."
        )

    def close(self) -> None:
        """Give the block back."""
        self._guard.close()


def is_free(port: int, *, host: str = HOST) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _claim(remembered: Mapping[str, int]) -> tuple[socket.socket, int]:
    bases = list(range(FIRST, LAST, BLOCK))
    if remembered:
        last = min(remembered.values())
        bases.insert(0, last - (last - FIRST) % BLOCK)
    for base in bases:
        guard = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            guard.bind((HOST, base))
            guard.listen(1)
        except OSError:
            guard.close()
            continue
        return guard, base
    raise ConfigurationTrouble(
        f"No block of ports is free between {FIRST} and {LAST}. Stop stacks that you no longer need: make down"
    )


def no_foreign_socket_file(port: int) -> bool:
    """Whether SeaweedFS can make its socket files of this port.

    It puts them at fixed places in /tmp and fails to start when one of another owner was left there.
    """
    for file in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + TWIN}.sock"):  # noqa: S108 - the place is SeaweedFS's
        try:
            file.unlink()
        except OSError:
            return False
    return True
