"""The development authority and one certificate for each service, for mutual TLS on every hop.

A certificate's only subject alternative name is the name of the service: that is the identity which others check.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from devstack.credentials import write_secret

AUTHORITY_DAYS = 3650
SERVICE_DAYS = 365
RENEW_DAYS = 30
"""A certificate with less time left is made anew at the next start."""


class Authority:
    """The certificates of one state folder; made when missing or about to expire."""

    def __init__(self, folder: Path) -> None:
        """Load the authority of the folder, or make one."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        if not _is_current(self.file):
            self._make_authority()
        self._key = _read_key(folder / "ca.key")
        self._certificate = x509.load_pem_x509_certificate(self.file.read_bytes())

    @property
    def file(self) -> Path:
        """PEM of the authority's certificate."""
        return self._folder / "ca.pem"

    def issue(self, name: str) -> tuple[Path, Path]:
        """PEM files (certificate, key) of a service, a current pair if there is one."""
        certificate_file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        if not (key_file.exists() and _is_current(certificate_file) and self._issued(certificate_file)):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = (
                _builder(name, self._certificate.subject, key, days=SERVICE_DAYS)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(
                    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                    critical=False,
                )
                .sign(self._key, hashes.SHA256())
            )
            _write_pair(certificate_file, certificate, key_file, key)
        return certificate_file, key_file

    def _issued(self, file: Path) -> bool:
        try:
            x509.load_pem_x509_certificate(file.read_bytes()).verify_directly_issued_by(self._certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True

    def _make_authority(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "heliograph development authority")])
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder("heliograph development authority", name, key, days=AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write_pair(self.file, certificate, self._folder / "ca.key", key)


def _builder(subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
    )


def _write_pair(
    certificate_file: Path, certificate: x509.Certificate, key_file: Path, key: ec.EllipticCurvePrivateKey
) -> None:
    write_secret(
        key_file,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    write_secret(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))


def _is_current(file: Path) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return False
    return certificate.not_valid_after_utc - datetime.now(UTC) > timedelta(days=RENEW_DAYS)


def _read_key(file: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{file} doesn't hold an elliptic-curve key")
    return key
