"""Credentials of both sides of a hop: every process has one certificate, and its name is who it is."""

from dataclasses import dataclass
from typing import Any

import grpc

from mesh.config import TlsConfig


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
