"""What takes part in the check of feeds: feed_svc with two workers, its people, and a second opinion on their feeds."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
from redis.asyncio import Redis

from benchmarks.fan_out import channel_to_feed
from devstack.keys import mint_token
from devstack.stack import Stack
from heliograph.feed.v1 import (
    feed_service_pb2,
    feed_service_pb2_grpc,
    graph_service_pb2,
    graph_service_pb2_grpc,
    post_service_pb2,
    post_service_pb2_grpc,
)
from mesh import auth
from mesh.auth import Viewer
from mesh.errors import HeliographError
from tests.chaos.check import Check

WORKERS = ("feed_svc.work", "feed_svc.work.2")
LENGTH = 40
"""Posts in a timeline: few, so that they are folded and cut while the check runs."""
CHUNK = 500
"""Followers in a chunk of fan-out: few, so that a giant's post has many."""
CALL_SECONDS = 3.0
SETTLE_SECONDS, SABOTAGED_SECONDS = 40.0, 10.0
FAILED = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL")

ORACLE = """
SELECT post_id FROM posts
WHERE delete_time IS NULL
  AND (author_id = %(viewer)s OR author_id IN (SELECT followee_id FROM follows WHERE follower_id = %(viewer)s))
  AND author_id NOT IN (SELECT blocked_id FROM blocks WHERE blocker_id = %(viewer)s)
  AND author_id NOT IN (SELECT blocker_id FROM blocks WHERE blocked_id = %(viewer)s)
ORDER BY post_id DESC
"""


@dataclass
class World:
    """The system under test and the people in it, by number."""

    check: Check
    stack: Stack
    channel: Any
    key: Path
    viewers: dict[int, Viewer] = field(default_factory=dict)
    unfinished: int = 0
    """Fan-outs that were waited for in vain."""

    def act_as(self, person: int) -> None:
        """Make the calls of this task those of a person."""
        if person not in self.viewers:
            self.viewers[person] = Viewer(person, 2**40, mint_token(self.key, person))
        auth.set_viewer(self.viewers[person])

    async def post(self, author: int) -> int:
        """Post, with the same key until it is acknowledged."""
        request = post_service_pb2.CreatePostRequest(
            upload_id=str(uuid.uuid4()), caption="", request_id=uuid.uuid4().hex
        )
        reply = await self.insist(author, post_service_pb2_grpc.PostServiceStub(self.channel).CreatePost, request)
        return int(reply.item.post.post_id)

    async def delete(self, author: int, post: int) -> None:
        """Delete an own post."""
        stub = post_service_pb2_grpc.PostServiceStub(self.channel)
        await self.insist(author, stub.DeletePost, post_service_pb2.DeletePostRequest(post_id=post))

    async def change_edge(self, verb: str, person: int, other: int) -> None:
        """Follow, Unfollow, Block or Unblock; what a block forbids is left."""
        request = getattr(graph_service_pb2, f"{verb}Request")(user_id=other)
        try:
            await self.insist(person, getattr(graph_service_pb2_grpc.GraphServiceStub(self.channel), verb), request)
        except HeliographError as refused:
            if refused.reason not in ("USER_BLOCKED", "USER_NOT_FOUND"):
                raise

    async def insist(self, person: int, method: Any, request: Any) -> Any:
        """Repeat a call until it is answered; a refusal is an answer."""
        self.act_as(person)
        while True:
            try:
                return await method(request, timeout=CALL_SECONDS)
            except HeliographError as error:
                if error.status not in FAILED:
                    raise
                await asyncio.sleep(0.05)

    async def page(self, viewer: int, *, token: str = "", size: int = 20) -> Any:
        """Read a page of a feed, once."""
        self.act_as(viewer)
        request = feed_service_pb2.GetHomeFeedRequest(page_size=size, page_token=token)
        return await feed_service_pb2_grpc.FeedServiceStub(self.channel).GetHomeFeed(request, timeout=CALL_SECONDS)

    async def first_page(self, viewer: int) -> tuple[list[int], bool] | None:
        """Return the ids of a first page and whether it is stale; `None` when the call failed."""
        try:
            page = await self.page(viewer)
        except HeliographError:
            return None
        return [item.post.post_id for item in page.items], page.is_stale

    async def feed(self, viewer: int) -> list[int]:
        """Read a whole feed, page by page."""
        found: list[int] = []
        token = ""
        stub = feed_service_pb2_grpc.FeedServiceStub(self.channel)
        while True:
            request = feed_service_pb2.GetHomeFeedRequest(page_size=7, page_token=token)
            page = await self.insist(viewer, stub.GetHomeFeed, request)
            found += [item.post.post_id for item in page.items]
            token = page.next_page_token
            if not token:
                return found

    async def oracle(self, viewer: int) -> list[int]:
        """Compute the same feed from the tables alone."""
        return [row[0] for row in await self.ask(ORACLE, viewer=viewer)]

    async def ask(self, statement: str, **parameters: Any) -> list[Any]:
        """Ask Postgres."""
        dsn = self.stack.postgres.admin_dsn("feed_svc")
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            return await (await connection.execute(statement.encode(), parameters)).fetchall()

    async def waiting(self) -> int:
        """Return how many posts are not yet noted as being everywhere."""
        rows = await self.ask(
            "SELECT (SELECT count(*) FROM outbox)"
            " + (SELECT count(*) FROM posts WHERE delivery_mode = 1 AND fan_out_time IS NULL)"
        )
        return int(rows[0][0])

    async def settle(self) -> None:
        """Wait until every fan-out has ended; those that have not are counted, and not waited for again."""
        end = time.monotonic() + (SABOTAGED_SECONDS if self.check.sabotage else SETTLE_SECONDS)
        while (waiting := await self.waiting()) > self.unfinished and time.monotonic() < end:
            await asyncio.sleep(0.1)
        self.unfinished = max(self.unfinished, waiting)
        self.check.count("unfinished", self.unfinished)

    async def flush_redis(self) -> None:
        """Have Redis lose everything."""
        try:
            async with Redis.from_url(self.stack.redis.admin_url(), socket_timeout=1) as server:
                await server.flushall()
        except Exception as error:  # it is down at the moment
            del error


def compare(served: Sequence[int], expected: Sequence[int]) -> Counter[str]:
    """Return how many posts are missing, extra, doubled and out of order."""
    order = list(dict.fromkeys(served))
    return Counter(
        missing=len(set(expected) - set(served)),
        extra=len(set(served) - set(expected)),
        doubled=len(served) - len(order),
        out_of_order=sum(one < other for one, other in pairwise(order)),
    )


@asynccontextmanager
async def open_world(check: Check) -> AsyncIterator[World]:
    """Start the system, broken as the check's sabotage says."""
    checkout = Path(__file__).parents[2]
    rig = checkout / "tests" / "chaos" / "rigs" / "feed_sabotage"
    environment = {
        "HELIOGRAPH_MEDIA_PUBLIC_URL": "http://photos.example",
        "HELIOGRAPH_TIMELINE_LENGTH": str(LENGTH),
        "FEED_CHUNK": str(CHUNK),
        "FEED_SABOTAGE": check.sabotage or "",
        "PYTHONPATH": ":".join(map(str, (rig, checkout, checkout / "gen"))),
    }
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(
            check.stack(
                services=["feed_svc"],
                servers=["postgres", "nats", "redis"],
                replicas={"feed_svc.work": len(WORKERS)},
                environment=environment,
            )
        )
        channel = await channel_to_feed(exits, stack)
        yield World(check, stack, channel, Path(stack.state.jwt_private_key))
