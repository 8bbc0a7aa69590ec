"""What `run` tells when everything is ready: an address, a person to be, and commands that work as printed."""

import base64
import json
import shlex
import uuid
from pathlib import Path

from devstack.credentials import write_secret
from devstack.folder import StateFolder
from devstack.keys import mint_token
from devstack.services import FEED, GATEWAY
from devstack.state import State
from heliograph.feed.v1 import graph_service_pb2
from heliograph.feed.v1.graph_service_pb2 import UpsertUserRequest
from heliograph.feed.v1.graph_service_pb2_grpc import GraphServiceStub
from mesh.config import TlsConfig, load
from mesh.grpc import client
from mesh.grpc.tls import Credentials

ME, FRIEND = "alice", "bob"


async def welcome(state: State, folder: StateFolder) -> str:
    """Make two people known if need be, and say how to be one of them; only that, if the gateway doesn't run."""
    addresses = "\n".join(f"  {name:<13} {address}" for name, address in sorted(state.addresses.items()))
    if not {FEED.name, GATEWAY.name} <= state.addresses.keys():
        return f"Addresses:\n{addresses}"
    me, friend = await _people(state)
    token = mint_token(Path(state.jwt_private_key), me)
    headers = folder.path / "alice.headers"
    write_secret(headers, f"Authorization: Bearer {token}\nContent-Type: application/json\n")
    friend_id = base64.urlsafe_b64encode(f"User:{friend}".encode()).rstrip(b"=").decode()
    message = {"recipientId": friend_id, "content": "hello", "clientMessageId": str(uuid.uuid4())}
    documents = (
        {"query": "{ viewer { id username followingCount } feed { edges { node { caption } } } }"},
        {
            "query": "mutation ($id: ID!) { follow(input: {userId: $id}) { user { username followerCount } } }",
            "variables": {"id": friend_id},
        },
        {
            "query": "mutation ($in: SendMessageInput!) { sendMessage(input: $in) { message { id content sentAt } } }",
            "variables": {"in": message},
        },
    )
    commands = [
        shlex.join(["curl", "-s", state.addresses["graphql"], "-H", f"@{headers}", "-d", json.dumps(document)])
        for document in documents
    ]
    return "\n".join(
        [
            f"GraphQL: {state.addresses['graphql']}",
            f"To try it in a browser: {state.addresses['graphql'].removesuffix('graphql')}",
            f"Token of {ME} (7 days): {token}",
            f"All addresses and credentials: {folder.state_file}",
            "Try:",
            *(f"  {command}" for command in commands),
        ]
    )


async def _people(state: State) -> list[int]:
    environment = state.environment("cli")
    async with client.connect(
        environment["HELIOGRAPH_FEED_ADDRESS"],
        server_name=FEED.name,
        services=[graph_service_pb2.DESCRIPTOR.services_by_name["GraphService"]],
        credentials=Credentials.from_config(load(TlsConfig, environment)),
        default_seconds=10,
    ) as channel:
        graph = GraphServiceStub(channel)
        replies = [await graph.UpsertUser(UpsertUserRequest(username=name)) for name in (ME, FRIEND)]
    return [reply.user.user_id for reply in replies]
