"""Where the services are, and which certificate and keys to use.

Variables of the environment win; what they don't say comes from the state file of the embedded stack, whose folder is
`--folder`, else `HELIOGRAPH_STATE`, else `.heliograph` in the checkout.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mesh.config import ConfigError, TlsConfig, load

CHECKOUT = Path(__file__).resolve().parent.parent
AUDIENCE = "heliograph"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line knows of the system."""

    variables: Mapping[str, str]
    """`HELIOGRAPH_*`, by name."""
    metrics: Mapping[str, str] = field(default_factory=dict)
    """host:port of each process's metrics, by the process's name."""
    origin: str = "the environment"
    """Where this comes from, for messages."""

    def need(self, name: str, expected: str) -> str:
        """Return a variable; `ConfigError` that says what it must be when it is absent."""
        if value := self.variables.get(name):
            return value
        raise ConfigError(
            f"{name} is missing; it must be {expected}. "
            "Set it, or start the system here with: make run (looked in " + self.origin + ")"
        )

    def tls(self) -> TlsConfig:
        """Return the certificate to show; `ConfigError` when it isn't known or not there."""
        self.need("HELIOGRAPH_TLS_CERT", "the path of the certificate of `cli`")
        return load(TlsConfig, self.variables)


def find(environment: Mapping[str, str], folder: Path | None = None) -> Settings:
    """Return the settings of this environment, completed from the stack's state file where there is one."""
    file = (folder or Path(environment.get("HELIOGRAPH_STATE") or CHECKOUT / ".heliograph")) / "state.json"
    given = {name: value for name, value in environment.items() if name.startswith("HELIOGRAPH_") and value}
    metrics = _listed(given.get("HELIOGRAPH_METRICS_ADDRESSES", ""))
    if not file.exists():
        return Settings(given, metrics, origin=f"the environment; there is no {file}")
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        environments: dict[str, dict[str, str]] = state["environments"]
        variables = {**environments["cli"], "HELIOGRAPH_JWT_PRIVATE_KEY": str(state["jwt_private_key"])}
        if graphql := state["addresses"].get("graphql"):
            variables["HELIOGRAPH_GRAPHQL_URL"] = str(graphql)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file} can't be read ({error}); stop the system with make down and start it again"
        ) from error
    return Settings({**variables, **given}, metrics or _metrics_of(environments), origin=f"the environment and {file}")


def _metrics_of(environments: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {
        process: variables["HELIOGRAPH_LISTEN" if process.startswith("gateway") else "HELIOGRAPH_METRICS_LISTEN"]
        for process, variables in environments.items()
        if "HELIOGRAPH_METRICS_LISTEN" in variables
    }


def _listed(text: str) -> dict[str, str]:
    """Read `name=host:port,name=host:port`."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if any(not name or not address for name, _, address in pairs):
        raise ConfigError("HELIOGRAPH_METRICS_ADDRESSES must be a list like feed_svc.serve=127.0.0.1:9100,...")
    return {name.strip(): address.strip() for name, _, address in pairs}
