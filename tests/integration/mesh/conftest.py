"""The echo service over real connections with mutual TLS."""

from contextlib import asynccontextmanager

import grpc
import jwt
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from devstack.certificates import Authority
from mesh.auth import TokenVerifier
from mesh.grpc import client, server
from mesh.grpc.lanes import Lanes
from mesh.grpc.server import Service
from mesh.grpc.tls import Credentials
from mesh.health import Health
from tests.fixtures.stack import eventually
from tests.integration.mesh.echo import ECHO, KEY, NAME, Stub


@pytest.fixture(scope="module")
def credentials_of(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("tls"))

    def of(name):
        return Credentials(*(one.read_bytes() for one in (authority.file, *authority.issue(name))))

    return of


@pytest.fixture
def verifier():
    public = jwt.PyJWK(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key(), as_dict=True), algorithm="EdDSA")
    return TokenVerifier({"test": public}, "heliograph")


@pytest.fixture
def start(credentials_of, verifier):
    @asynccontextmanager
    async def started(handle, *, max_in_flight=100, listen="127.0.0.1:0", callers=("gateway",)):
        def register(to):
            handler = grpc.unary_unary_rpc_method_handler(handle, StringValue.FromString, StringValue.SerializeToString)
            to.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(NAME, {"Read": handler, "Write": handler}),)
            )

        async with server.serve(
            listen=listen,
            services=[Service(NAME, register)],
            callers=server.allow(NAME, by=callers),
            credentials=credentials_of("feed_svc"),
            verifier=verifier,
            health=Health(),
            reflected=False,
            max_in_flight=max_in_flight,
        ) as running:
            yield running

    return started


@pytest.fixture(params=["alone", "bundled"])
def dial(request, credentials_of, monkeypatch):
    if request.param == "alone":
        monkeypatch.setattr(Lanes, "pick", lambda _self, _size: None)

    @asynccontextmanager
    async def dialled(address, *, as_="gateway", server_name="feed_svc", default_seconds=2.0):
        async with client.connect(
            address if isinstance(address, str) else f"127.0.0.1:{address.port}",
            server_name=server_name,
            services=[ECHO],
            credentials=credentials_of(as_),
            default_seconds=default_seconds,
        ) as channel:
            if request.param == "bundled":
                channel._lanes.pick(0)
                await eventually(lambda: channel._lanes._are_known, within=5)
            yield Stub(channel)

    return dialled
