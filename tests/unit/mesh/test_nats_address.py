"""Addresses of one NATS server and of a cluster."""

import pytest

from mesh.jetstream.address import Address


@pytest.mark.parametrize(
    ("url", "servers", "replicas"),
    [
        ("nats://a:4222", ("nats://a:4222",), 1),
        ("nats://user:p%40ss@a:1", ("nats://user:p%40ss@a:1",), 1),
        ("tls://u:p@a:1,b:2,c:3?replicas=3", ("tls://u:p@a:1", "tls://u:p@b:2", "tls://u:p@c:3"), 3),
    ],
)
def test_an_address_names_every_server_with_its_login(url: str, servers: tuple[str, ...], replicas: int) -> None:
    assert Address.of(url) == Address(servers, replicas)


def test_an_address_is_shown_without_its_password() -> None:
    assert str(Address.of("nats://user:secret@a:1,b:2?replicas=2")) == "a:1, b:2"
