"""Stories: gone at their end and not before, while Redis, NATS, Postgres and the service are killed.

Real processes: story_svc, and feed_svc for who follows whom. Stories are committed with an end some seconds away,
half of them for each of two authors, and a follower reads them without pause: by id, in the list and in the tray. A
sighting that was asked for at or after a story's end is late; a read that was answered before it and lacks the
story is early.
"""

import asyncio
import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from psycopg.types.json import Jsonb
from redis.asyncio import Redis

from devstack.certificates import Authority
from devstack.stack import Stack
from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc
from heliograph.story.v1 import story_service_pb2, story_service_pb2_grpc
from mesh import auth, jetstream, redis
from mesh.clock import SystemClock
from mesh.config import TlsConfig
from mesh.errors import HeliographError
from mesh.grpc import client
from mesh.grpc.tls import Credentials
from mesh.ids import IdMaker
from mesh.redis import TROUBLE
from story_svc import events, wire
from story_svc.cache import Cache
from story_svc.domain import LIFETIME, PURGE_DELAY, StoryId, StoryRecord, StoryState, UserId
from tests.chaos.check import Check
from tests.chaos.storm import Storm, freeze, keep_down, kill
from tests.integration.story_svc.fakes import FakeMedia

SABOTAGES = {
    "trust_the_ttl": "read paths look at no clock",
    "redis_as_truth": "what Redis does not know is not looked up in Postgres",
    "nobody_expires": "neither schedule nor sweeper",
}

AUTHORS = (101, 102)
VIEWER = 103
LIFE_SECONDS = (4.0, 8.0)
EVERY_SECONDS = 0.15
SLACK = timedelta(milliseconds=20)
"""How long before its end a story may already be missing: the clock's estimate errs towards its end, by a round
trip.
"""
GRACE = timedelta(seconds=2)
MISSED_TOO_OFTEN = 30
QUIET_SECONDS = 30.0
QUICK_SECONDS = 40.0
"""Shorter than that, too few faults fit in."""


@dataclass(slots=True)
class Watched:
    """A story under observation."""

    record: StoryRecord
    is_shown: bool = False
    """Seen once by anybody: from then on it must be there until its end."""
    commit_time: datetime = datetime.max.replace(tzinfo=UTC)
    times_missed: int = 0
    """Reads that did not have it though it was committed `GRACE` before: too many without one that had it are early."""


async def run(check: Check) -> None:
    """Publish and read under a storm, then count."""
    rig = str(Path(__file__).parent / "rigs" / "story_sabotage")
    environment = {"STORY_SABOTAGE": check.sabotage, "PYTHONPATH": _paths(rig)} if check.sabotage else {}
    async with check.stack(services=["feed_svc", "story_svc"], redis_failover=True, environment=environment) as stack:
        await _make_graph(stack)
        stories: list[Watched] = []
        counts: Counter[str] = Counter()
        seconds = QUICK_SECONDS if check.quick else check.seconds
        check.say(f"Stories live {LIFE_SECONDS[0]:.0f} to {LIFE_SECONDS[1]:.0f} s, read for {seconds:.0f} s")
        end = time.monotonic() + seconds
        faults = {
            "flush_redis": lambda: _flush(stack),
            "redis_down_4_s": lambda: keep_down(stack, "redis", 4.0),
            "kill_redis": lambda: kill(stack, "redis"),
            "kill_serve": lambda: kill(stack, "story_svc.serve"),
            "kill_work": lambda: kill(stack, "story_svc.work"),
            "freeze_serve": lambda: freeze(stack, "story_svc.serve", 1.0),
            "nats_down_2_s": lambda: keep_down(stack, "nats", 2.0),
            "kill_postgres": lambda: kill(stack, "postgres"),
        }
        async with (
            redis.connect_replicated(stack.redis.watched_url("story_svc")) as clients,
            Storm(check, faults, every_seconds=(0.3, 1.2)),
            asyncio.TaskGroup() as group,
        ):
            cache = Cache(clients)
            group.create_task(_publish(stack, cache, stories, end))
            for kind in (_by_id, _in_list, _in_tray):
                group.create_task(_read(stack, kind, stories, counts, end))
        expired = await _expired(stack, stories)
    check.count("stories", len(stories))
    check.count("reads", counts["reads"])
    check.count("reads_failed", counts["failed"])
    check.none_may_be("late", counts["late"])
    never_shown = sum(not one.is_shown and one.times_missed >= MISSED_TOO_OFTEN for one in stories)
    check.none_may_be("early", counts["early"] + never_shown)
    check.none_may_be("unexpired", sum(expired[one.record.story_id] == 0 for one in stories))
    check.none_may_be("doubled", sum(expired[one.record.story_id] > 1 for one in stories))
    check.require(counts["reads"] >= 10_000, "too few reads to tell anything")
    check.require(sum(check.faults.values()) >= 5, "too few faults were fired to tell anything")


def _paths(first: str) -> str:
    checkout = Path(__file__).parents[2]
    return ":".join([first, str(checkout), str(checkout / "gen")])


async def _flush(stack: Stack) -> None:
    for url in (stack.redis.admin_url(), stack.redis.replica_admin_url()):
        try:
            async with Redis.from_url(url, socket_timeout=1) as server:
                await server.flushall()
        except Exception as error:  # down, or the replica at the moment
            del error


def _channel(stack: Stack, service: str, caller: str, *names: Any) -> Any:
    listen = stack.state.environment(f"{service}.serve")["HELIOGRAPH_LISTEN"]
    authority = Authority(stack.folder.path / "tls")
    config = TlsConfig(authority.file, *authority.issue(caller))
    return client.connect(
        listen,
        server_name=service,
        services=list(names),
        credentials=Credentials.from_config(config),
    )


def _be(stack: Stack, user_id: int) -> None:
    auth.set_viewer(auth.Viewer(user_id, 2**40, stack_token(stack, user_id)))


def stack_token(stack: Stack, user_id: int) -> str:
    """Return a token of the stack's own key."""
    key = load_pem_private_key(Path(stack.state.jwt_private_key).read_bytes(), None)
    return auth.mint(
        private_key=key,  # type: ignore[arg-type]
        key_id=auth.key_id_of(key),  # type: ignore[arg-type]
        user_id=user_id,
        audience="heliograph",
        lifetime_seconds=3_600,
    )


async def _make_graph(stack: Stack) -> None:
    service = graph_service_pb2.DESCRIPTOR.services_by_name["GraphService"]
    async with (
        _channel(stack, "feed_svc", "cli", service) as staff,
        _channel(stack, "feed_svc", "gateway", service) as person,
    ):
        for user_id in (*AUTHORS, VIEWER):
            await graph_service_pb2_grpc.GraphServiceStub(staff).UpsertUser(
                graph_service_pb2.UpsertUserRequest(user_id=user_id, username=f"user{user_id}", display_name="Someone")
            )
        _be(stack, VIEWER)
        for author in AUTHORS:
            await graph_service_pb2_grpc.GraphServiceStub(person).Follow(
                graph_service_pb2.FollowRequest(user_id=author)
            )


async def _publish(stack: Stack, cache: Cache, stories: list[Watched], end: float) -> None:
    """Commit stories that were published almost 24 hours ago, with their events, as the service itself does."""
    ids = IdMaker(clock=SystemClock(), node=900)
    media = FakeMedia()
    number = 0
    while time.monotonic() < end - LIFE_SECONDS[1]:
        await asyncio.sleep(EVERY_SECONDS)
        number += 1
        author = AUTHORS[number % 2]
        life = LIFE_SECONDS[0] + (LIFE_SECONDS[1] - LIFE_SECONDS[0]) * (number % 10) / 10
        finish = datetime.now(UTC) + timedelta(seconds=life)
        finish = finish.replace(microsecond=finish.microsecond // 1_000 * 1_000)
        upload = media.upload(author)
        record = StoryRecord(
            StoryId(ids.next_id()), UserId(author), uuid.uuid4().hex, upload, wire.photo_of_media(media.media(upload)),
            StoryState.LIVE, finish - LIFETIME, finish, None, finish + PURGE_DELAY, None, False, "", None,
        )  # fmt: skip
        told = events.story_published(record)
        try:
            async with await psycopg.AsyncConnection.connect(stack.postgres.dsn("story_svc")) as connection:
                await connection.execute(
                    "INSERT INTO stories (author_id, story_id, request_id, upload_id, photo, create_time, expire_time,"
                    " purge_due_time, purge_try_time) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (author, record.story_id, record.request_id, upload, Jsonb(asdict(record.photo)),
                     record.create_time, finish, record.purge_due_time, record.purge_due_time),
                )  # fmt: skip
                await connection.execute(
                    "INSERT INTO outbox (subject, payload) VALUES (%s, %s)", (told.subject, told.payload)
                )
        except psycopg.OperationalError:
            continue
        stories.append(Watched(record, commit_time=datetime.now(UTC)))
        try:
            await cache.reels.forget([UserId(author)])
        except TROUBLE:
            continue


async def _by_id(stub: Any, wanted: list[Watched]) -> set[int]:
    reply = await stub.BatchGetStories(
        story_service_pb2.BatchGetStoriesRequest(story_ids=[one.record.story_id for one in wanted])
    )
    return {one.story_id for one in reply.results if one.found}


async def _in_list(stub: Any, wanted: list[Watched]) -> set[int]:
    found: set[int] = set()
    for author in AUTHORS:
        reply = await stub.ListStories(story_service_pb2.ListStoriesRequest(user_id=author))
        found |= {story.story_id for story in reply.stories}
    return found


async def _in_tray(stub: Any, wanted: list[Watched]) -> set[int]:
    reply = await stub.GetStoryTray(story_service_pb2.GetStoryTrayRequest())
    return {story.story_id for reel in reply.reels for story in reel.stories}


async def _read(stack: Stack, kind: Any, stories: list[Watched], counts: Counter[str], end: float) -> None:
    service = story_service_pb2.DESCRIPTOR.services_by_name["StoryService"]
    _be(stack, VIEWER)
    async with _channel(stack, "story_svc", "gateway", service) as channel:
        stub = story_service_pb2_grpc.StoryServiceStub(channel)
        while time.monotonic() < end:
            asked_at = datetime.now(UTC)
            wanted = [one for one in stories if one.record.expire_time > asked_at - timedelta(seconds=3)][-100:]
            shown = {one.record.story_id for one in wanted if one.is_shown}
            if not wanted:
                await asyncio.sleep(0.05)
                continue
            try:
                found = await kind(stub, wanted)
            except HeliographError:
                counts["failed"] += 1
                await asyncio.sleep(0.02)
                continue
            answered_at = datetime.now(UTC)
            for one in wanted:
                story_id, finish = one.record.story_id, one.record.expire_time
                counts["reads"] += 1
                counts["late"] += story_id in found and asked_at >= finish
                counts["early"] += story_id in shown and story_id not in found and answered_at < finish - SLACK
                one.is_shown |= story_id in found
                must_be_there = one.commit_time + GRACE < asked_at and answered_at < finish - SLACK
                one.times_missed += must_be_there and story_id not in found
            await asyncio.sleep(0.01)


async def _expired(stack: Stack, stories: list[Watched]) -> Counter[int]:
    """Return how many StoryExpired the stream holds of each story, once the last one should be there."""
    for name in ("nats", "postgres", "redis", "story_svc.work"):
        await stack.wait_ready(name)
    async with jetstream.connect(stack.nats.url("story_svc"), name="chaos") as stream:
        quiet = time.monotonic() + QUIET_SECONDS
        while True:
            info = await stream.context.stream_info(events.STORIES_NAME, subjects_filter="story.expired.>")
            held = Counter(
                {int(subject.rsplit(".", 1)[1]): count for subject, count in (info.state.subjects or {}).items()}
            )
            if all(held[one.record.story_id] for one in stories) or time.monotonic() > quiet:
                return held
            await asyncio.sleep(0.5)
