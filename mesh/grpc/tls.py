"""What both sides of a hop share: credentials (every process has one certificate, and its name is who it is), and signs
of life.
"""

from dataclasses import dataclass
from typing import Any

import grpc

from mesh.config import TlsConfig

KEEPALIVE = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
)
"""Options of both sides: a peer that hangs or has vanished is left after 13 s, also when no call is under way."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A process's certificate chain, its key, and the authority that it trusts."""

    ca: bytes
    certificate: bytes
    key: bytes

    @classmethod
    def from_config(cls, config: TlsConfig) -> "Credentials":
        """Read the three files."""
        return cls(config.ca.read_bytes(), config.certificate.read_bytes(), config.key.read_bytes())

    def server(self) -> grpc.ServerCredentials:
        """Return credentials that demand a certificate of the caller."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)], root_certificates=self.ca, require_client_auth=True
        )

    def channel(self) -> grpc.ChannelCredentials:
        """Return credentials that show our certificate to the server."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.ca, private_key=self.key, certificate_chain=self.certificate
        )


def caller_of(context: "grpc.aio.ServicerContext[Any, Any]") -> str:
    """Return the service name in the caller's certificate; empty when there is none."""
    names = list(context.auth_context().get("x509_subject_alternative_name", ()))
    return names[0].decode() if names else ""
