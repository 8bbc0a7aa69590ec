"""feed_svc as the benchmark of reading meets it, and the people who read."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from redis.asyncio import Redis

from benchmarks import feed_graphs
from benchmarks.bench import Bench
from benchmarks.fan_out import ENVIRONMENT, channel_to_feed
from benchmarks.feed_graphs import Connection, Graph, Ids
from devstack.certificates import Authority
from devstack.keys import mint_token
from devstack.stack import Stack
from feed_svc.cache.marks import TimelineMark, read_mark
from heliograph.feed.v1 import (
    feed_admin_service_pb2_grpc,
    feed_service_pb2,
    feed_service_pb2_grpc,
    post_service_pb2,
    post_service_pb2_grpc,
)
from mesh import auth
from mesh.auth import Viewer
from mesh.config import TlsConfig
from mesh.grpc import client
from mesh.grpc.tls import Credentials

FRIENDS, PEOPLE, AUTHORS = 10_000, 1_000_000, 3_000_000
"""Where the numbers of each kind of person begin: the friendship graph, the crowd, whom the crowd follows."""
READERS, COLD, SCALED = 4_000_000, 5_000_000, 6_000_000
MODEL = 9
"""Whose post lends its photo to the posts that are loaded."""
ORDINARY_AUTHORS = 5_000
FOLLOWEES, COLD_FOLLOWEES = 100, 500
SCALED_FOLLOWERS, SCALED_POSTS = (100, 1_000, 10_000), (30, 300, 3_000)
FOLLOWED, POSTING = 100, 200
CALLERS = 16
PAGE = 20


@dataclass
class Rig:
    """feed_svc, and what reaches its stores."""

    bench: Bench
    stack: Stack
    feed: feed_service_pb2_grpc.FeedServiceStub
    posts: post_service_pb2_grpc.PostServiceStub
    admin: feed_admin_service_pb2_grpc.FeedAdminServiceStub
    database: Connection
    redis: Redis
    viewers: dict[int, Viewer] = field(default_factory=dict)

    async def read(self, viewer: int, *, token: str = "") -> Any:
        """Read a page of the home feed."""
        self._become(viewer)
        return await self.feed.GetHomeFeed(feed_service_pb2.GetHomeFeedRequest(page_size=PAGE, page_token=token))

    async def read_author(self, viewer: int, author: int) -> Any:
        """Read an author's newest posts."""
        self._become(viewer)
        return await self.posts.ListPostsByAuthor(
            post_service_pb2.ListPostsByAuthorRequest(author_id=author, page_size=PAGE)
        )

    async def post(self, author: int) -> Any:
        """Publish a post."""
        self._become(author)
        return await self.posts.CreatePost(
            post_service_pb2.CreatePostRequest(upload_id=str(uuid.uuid4()), request_id=uuid.uuid4().hex)
        )

    def know(self, *people: int) -> None:
        """Have tokens at hand, so that none is made while time is taken."""
        key = Path(self.stack.state.jwt_private_key)
        for person in people:
            self.viewers[person] = Viewer(person, 2**40, mint_token(key, person))

    async def warm(self, viewers: Ids) -> None:
        """Read once, and wait until each has a timeline that was built for it."""
        self.know(*viewers.tolist())
        waiting = viewers.tolist()
        async with asyncio.timeout(120):
            while waiting:
                for start in range(0, len(waiting), CALLERS):
                    await asyncio.gather(*(self.read(viewer) for viewer in waiting[start : start + CALLERS]))
                await asyncio.sleep(0.2)
                pipeline = self.redis.pipeline(transaction=False)
                for viewer in waiting:
                    pipeline.lindex(f"home:{{{viewer}}}", 0)
                marks = await pipeline.execute()
                waiting = [
                    viewer
                    for viewer, mark in zip(waiting, marks, strict=True)
                    if not isinstance(read_mark(mark), TimelineMark)
                ]

    async def drained(self) -> None:
        """Wait until every post is delivered."""
        async with asyncio.timeout(60):
            while True:
                row = await (
                    await self.database.execute(
                        "SELECT (SELECT count(*) FROM outbox)"
                        " + (SELECT count(*) FROM posts WHERE delivery_mode = 1 AND fan_out_time IS NULL)"
                    )
                ).fetchone()
                if row == (0,):
                    return
                await asyncio.sleep(0.1)

    def _become(self, person: int) -> None:
        auth.set_viewer(self.viewers[person])


@dataclass(frozen=True, slots=True)
class People:
    """Who plays which part."""

    friends: Ids
    readers: Ids
    writers: Ids
    cold: Ids
    scaled: dict[str, dict[int, int]]
    """By what grows: a reader for each size."""


@asynccontextmanager
async def open_rig(bench: Bench) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as exits:
        stack = await exits.enter_async_context(
            bench.stack(services=["feed_svc"], servers=["postgres", "nats", "redis"], environment=ENVIRONMENT)
        )
        channel = await channel_to_feed(exits, stack)
        authority = Authority(stack.folder.path / "tls")
        staff = await exits.enter_async_context(
            client.connect(
                stack.state.environment("feed_svc.serve")["HELIOGRAPH_LISTEN"],
                server_name="feed_svc",
                services=[],
                credentials=Credentials.from_config(TlsConfig(authority.file, *authority.issue("cli"))),
            )
        )
        yield Rig(
            bench,
            stack,
            feed_service_pb2_grpc.FeedServiceStub(channel),
            post_service_pb2_grpc.PostServiceStub(channel),
            feed_admin_service_pb2_grpc.FeedAdminServiceStub(staff),
            await exits.enter_async_context(feed_graphs.bulk_writer(stack.postgres.admin_dsn("feed_svc"))),
            await exits.enter_async_context(Redis.from_url(stack.redis.admin_url())),
        )


async def settle(bench: Bench, rig: Rig) -> People:
    """Write both graphs and their posts."""
    began = time.monotonic()
    crowd = np.arange(PEOPLE, PEOPLE + bench.size(200_000, 20_000), dtype=np.int64)
    giants = {AUTHORS - 1 - n: len(crowd) * share // 100 for n, share in enumerate((45, 55, 75))}
    threshold = len(crowd) // 2
    await rig.database.execute("UPDATE delivery_policies SET pull_threshold = %s", (threshold,))
    authors = np.arange(AUTHORS, AUTHORS + ORDINARY_AUTHORS, dtype=np.int64)
    readers = np.arange(READERS, READERS + bench.size(1_000, 200), dtype=np.int64)
    cold = np.arange(COLD, COLD + bench.size(300, 60), dtype=np.int64)
    friends = feed_graphs.friendships(FRIENDS)
    scaled, grown = _scaled(crowd, authors)
    graph = feed_graphs.joined(
        [
            friends,
            *grown,
            feed_graphs.audience(MODEL, crowd[:1]),
            feed_graphs.crowd(crowd, authors, each=3, seed=0),
            feed_graphs.crowd(readers, authors, each=FOLLOWEES, seed=1),
            feed_graphs.crowd(cold, authors, each=COLD_FOLLOWEES, seed=2),
            *(
                feed_graphs.audience(giant, np.concatenate([crowd[:followers], readers, cold]))
                for giant, followers in giants.items()
            ),
        ]
    )
    await feed_graphs.load(rig.database, graph)
    rig.know(MODEL, *authors[:500].tolist())
    await rig.post(MODEL)
    await feed_graphs.load_posts(rig.database, authors, each=bench.size(20, 8))
    await feed_graphs.load_posts(rig.database, friends.people, each=bench.size(30, 10))
    for giant, followers in giants.items():
        await feed_graphs.load_posts(
            rig.database, np.array([giant]), each=300, is_pulled=followers >= threshold, days=30
        )
    await _load_scaled_posts(rig)
    await rig.database.execute("VACUUM (ANALYZE)")
    bench.say(
        f"{len(graph.people):,} people, {len(graph.followers):,} edges, threshold {threshold:,}, giants of"
        f" {', '.join(f'{count:,}' for count in giants.values())}; friends: {friends.name};"
        f" loaded in {time.monotonic() - began:.0f} s"
    )
    return People(friends.people, readers, authors[:500], cold, scaled)


def _scaled(crowd: Ids, authors: Ids) -> tuple[dict[str, dict[int, int]], list[Graph]]:
    """Return for each thing that grows a reader by size, and the edges for them."""
    followed, posting = "followers of the authors", "posts of the authors"
    readers: dict[str, dict[int, int]] = {"followees": {}, followed: {}, posting: {}}
    graphs = []
    for place, followees in enumerate((50, 500, 5_000)):
        readers["followees"][followees] = SCALED + place
        graphs.append(Graph("", np.full(followees, SCALED + place, dtype=np.int64), authors[:followees]))
    for place, (followers, posts) in enumerate(zip(SCALED_FOLLOWERS, SCALED_POSTS, strict=True)):
        for what, size, row in ((followed, followers, FOLLOWED), (posting, posts, POSTING)):
            reader = readers[what][size] = SCALED + row + place
            people = np.append(crowd[:followers], reader) if what == followed else np.array([reader])
            graphs += [feed_graphs.audience(author, people) for author in _scaled_authors(row, place).tolist()]
    return readers, graphs


def _scaled_authors(row: int, place: int) -> Ids:
    return np.arange(10, dtype=np.int64) + SCALED + 1_000 * (row + place)


async def _load_scaled_posts(rig: Rig) -> None:
    for place, posts in enumerate(SCALED_POSTS):
        await feed_graphs.load_posts(rig.database, _scaled_authors(FOLLOWED, place), each=30)
        await feed_graphs.load_posts(rig.database, _scaled_authors(POSTING, place), each=posts, days=posts)
