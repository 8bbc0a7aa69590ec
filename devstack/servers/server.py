"""What every embedded server offers to the stack."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from devstack.process import Spec


class Server(ABC):
    """One kind of server: its files, its processes, and what is made in it once it answers.

    `processes` returns a list because a server may be several processes: a primary with replica and Sentinel, a cluster
    of three. They start together and each one has its own readiness.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def address(self) -> str:
        """host:port at which clients reach it."""

    @abstractmethod
    def prepare(self) -> None:
        """Write configuration, make a data folder where there is none. Blocking; safe to repeat."""

    @abstractmethod
    def processes(self) -> Sequence[Spec]:
        """The processes, with readiness by the server's own protocol."""

    @abstractmethod
    async def set_up(self) -> None:
        """Make what the services need in the ready server (roles, databases, buckets). Safe to repeat."""


def environment(home: Path, **extra: str) -> dict[str, str]:
    """The whole environment of a server: nothing inherited, so no locale, proxy or AWS_* variable of the user
    counts.
    """
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC", **extra}
