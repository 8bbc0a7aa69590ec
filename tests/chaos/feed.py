"""Feeds: nothing missing, extra, doubled or out of order, and never empty, whatever dies.

Real processes: feed_svc with two workers; media_svc is answered from memory. Four parts. A giant's posts are fanned
out while the workers are killed in the middle (F6), and small authors post behind giants (F3, by the order of work).
People post, delete, follow and block in a storm of faults; afterwards each feed is read to its end and compared with
the tables (F1), and whoever was told that their post is there sees it in the next feed (F5). At last Redis is emptied,
stopped, and stopped together with Postgres (F4).
"""

import asyncio
import random
import time
from collections import Counter
from typing import Any

import psycopg
from redis.asyncio import Redis

from devstack.trouble import Trouble
from feed_svc.cache.marks import TimelineMark, read_mark
from feed_svc.domain import COMPLETE
from tests.chaos.check import Check
from tests.chaos.feed_world import LENGTH, WORKERS, World, compare, open_world
from tests.chaos.storm import Storm, freeze, kill

SABOTAGES = {
    "ack_before_last_chunk": "a chunk is acknowledged before it is done (F6)",
    "one_lane": "all authors stand in one line, and a giant's post is one piece (F3)",
    "no_read_rules": "what a timeline holds is shown as it is (F1)",
    "rpush_to_missing_timeline": "a push makes a timeline where there is none (F4)",
    "no_stale_page": "no page is kept for bad times (F4)",
}

GIANT, GIANT_FOLLOWERS = 1, 10_000
FIRST_FOLLOWER = 1_000_000
SMALL = 2
PEOPLE = range(101, 125)
DRIVERS = 4
FRESH_SECONDS = 5.0
"""How long what is stale may be shown after everything is back."""
READERS = 20
"""Followers of the giant whose served feeds are read as well."""


async def run(check: Check) -> None:
    """Break things part by part, and count after each."""
    async with open_world(check) as world:
        await _populate(world)
        found: Counter[str] = Counter()
        noticed_by = {
            "ack_before_last_chunk": _kill_fan_outs,
            "one_lane": _post_behind_giants,
            "no_read_rules": _storm,
            "rpush_to_missing_timeline": _lose_stores,
            "no_stale_page": _lose_stores,
        }
        parts = (_kill_fan_outs, _post_behind_giants, _storm, _lose_stores)
        for part in parts if check.sabotage is None else (noticed_by[check.sabotage],):
            await part(world, found)
        check.none_may_be("unfinished", world.unfinished)
    for name in ("missing", "extra", "doubled", "out_of_order"):
        check.none_may_be(name, found[name])


async def _populate(world: World) -> None:
    """Write the people; the giant's followers have timelines that are complete and empty."""
    followers = "generate_series(%(first)s::bigint, %(last)s)"
    last = FIRST_FOLLOWER + GIANT_FOLLOWERS - 1
    small_last = FIRST_FOLLOWER + 19
    people = [GIANT, SMALL, *PEOPLE]
    everybody = f"generate_series({PEOPLE[0]}, {PEOPLE[-1]})"
    distance = f"(other - one + {len(PEOPLE)}) %% {len(PEOPLE)}"
    neighbours = f"{everybody} one, {everybody} other WHERE {distance} BETWEEN 1 AND 6"
    async with await psycopg.AsyncConnection.connect(
        world.stack.postgres.admin_dsn("feed_svc"), autocommit=True
    ) as connection:
        for statement, values in (
            (f"INSERT INTO users SELECT id, 'u' || id, '' FROM {followers} id", {"last": last}),
            ("INSERT INTO users SELECT id, 'u' || id, '' FROM unnest(%(people)s::bigint[]) id", {"people": people}),
            (f"INSERT INTO followers SELECT {GIANT}, id FROM {followers} id", {"last": last}),
            (f"INSERT INTO follows SELECT id, {GIANT} FROM {followers} id", {"last": last}),
            (f"INSERT INTO followers SELECT {SMALL}, id FROM {followers} id", {"last": small_last}),
            (f"INSERT INTO follows SELECT id, {SMALL} FROM {followers} id", {"last": small_last}),
            (f"INSERT INTO timelines SELECT id FROM {followers} id", {"last": last}),
            # The clock of fan-out's two phases: half of the followers have not read for two days.
            (
                "UPDATE timelines SET last_read_time = now() - interval '2 days' WHERE user_id %% 2 = 0",
                {"last": last},
            ),
            # Everybody follows the next ones.
            (f"INSERT INTO follows SELECT one, other FROM {neighbours}", {}),
            (f"INSERT INTO followers SELECT other, one FROM {neighbours}", {}),
            (f"INSERT INTO user_counts (user_id, slot, follower_count) VALUES ({GIANT}, 0, {GIANT_FOLLOWERS})", {}),
            (f"INSERT INTO user_counts (user_id, slot, follower_count) VALUES ({SMALL}, 0, 20)", {}),
        ):
            await connection.execute(statement.encode(), {"first": FIRST_FOLLOWER, **values})
    async with Redis.from_url(world.stack.redis.admin_url()) as server:
        pipeline = server.pipeline(transaction=False)
        empty = str(TimelineMark(COMPLETE, 0, 1, 0, frozenset()))
        for follower in range(FIRST_FOLLOWER, last + 1):
            pipeline.rpush(f"home:{{{follower}}}", empty)
        await pipeline.execute()


async def _kill_fan_outs(world: World, found: Counter[str]) -> None:
    """F6: kill workers in the middle of fan-outs; then every follower has every post, and nothing else."""
    check = world.check
    kills, needed = (8, 3) if check.quick else (40, 20)
    check.say(f"{kills} posts to {GIANT_FOLLOWERS} followers, workers killed at random chunks")
    posts, hits = [], 0
    for _ in range(kills):
        posts.append(await world.post(GIANT))
        await asyncio.sleep(random.uniform(0.02, 0.3))
        hits += bool(await world.waiting())
        await asyncio.gather(*(_kill(world, name) for name in random.sample(WORKERS, random.choice((1, 2)))))
    check.count("fan_outs_hit", hits)
    check.require(hits >= needed, f"{needed} kills in the middle of a fan-out were wanted")
    await world.settle()
    async with Redis.from_url(world.stack.redis.admin_url()) as server:
        for follower in range(FIRST_FOLLOWER, FIRST_FOLLOWER + GIANT_FOLLOWERS, 1_000):
            pipeline = server.pipeline(transaction=False)
            for one in range(follower, follower + 1_000):
                pipeline.lrange(f"home:{{{one}}}", 0, -1)
            for stored in await pipeline.execute():
                found += _compare_stored(stored, posts)
    for reader in random.sample(range(FIRST_FOLLOWER, FIRST_FOLLOWER + GIANT_FOLLOWERS), READERS):
        found += compare(await world.feed(reader), await world.oracle(reader))
    check.count("timelines_compared", GIANT_FOLLOWERS)


def _compare_stored(arrivals: list[bytes], posts: list[int]) -> Counter[str]:
    """Compare what Redis holds above the floor with the posts that there are."""
    mark = read_mark(arrivals[0])
    assert isinstance(mark, TimelineMark)
    stored = {int(one) for one in arrivals[1:]}
    missing = sum(post not in stored for post in posts if post > mark.floor)
    # More than that may not be cut off.
    too_short = len(stored) < min(len(posts), LENGTH // 2)
    return Counter(missing=missing + too_short, extra=len(stored - set(posts)))


async def _kill(world: World, name: str) -> None:
    world.check.fault("kill_worker")
    await kill(world.stack, name)


async def _post_behind_giants(world: World, _found: Counter[str]) -> None:
    """F3: a small author's post is everywhere before those of giants that were first in line."""
    behind, rounds = 0, 3 if world.check.quick else 10
    for _ in range(rounds):
        giants = [await world.post(GIANT) for _ in range(3)]
        small = await world.post(SMALL)
        await world.settle()
        rows = await world.ask(
            "SELECT post_id FROM posts WHERE post_id = ANY(%(posts)s) ORDER BY fan_out_time", posts=[*giants, small]
        )
        # One giant may be as lucky as to be first.
        behind += [row[0] for row in rows].index(small) > 1
    world.check.none_may_be("behind_giants", behind)


async def _storm(world: World, found: Counter[str]) -> None:
    """F1, F5: people do what people do while everything is killed; afterwards their feeds are those of the tables."""
    check, stack = world.check, world.stack
    check.say(f"{len(PEOPLE)} people for {check.seconds:.0f} s in a storm")
    faults = {
        "kill_worker": lambda: kill(stack, WORKERS[0]),
        "kill_worker_2": lambda: kill(stack, WORKERS[1]),
        "freeze_worker": lambda: freeze(stack, WORKERS[0], 1.0),
        "kill_serve": lambda: kill(stack, "feed_svc.serve"),
        "flush_redis": world.flush_redis,
        "kill_redis": lambda: kill(stack, "redis"),
        "kill_nats": lambda: kill(stack, "nats"),
        "kill_postgres": lambda: kill(stack, "postgres"),
    }
    done: Counter[str] = Counter()
    end = time.monotonic() + check.seconds
    async with Storm(check, faults, every_seconds=(0.3, 1.2)), asyncio.TaskGroup() as group:
        for driver in range(DRIVERS):
            group.create_task(_drive(world, [one for one in PEOPLE if one % DRIVERS == driver], done, end))
    await _all_ready(world)
    await world.settle()
    # A notice of a block or of a pulled post may have been lost: that costs seconds.
    end = time.monotonic() + FRESH_SECONDS
    for person in PEOPLE:
        expected = await world.oracle(person)
        while (served := await world.feed(person)) != expected and time.monotonic() < end:
            await asyncio.sleep(0.25)
        found += compare(served, expected)
    check.count("acked", sum(done.values()) - done["missed"])
    check.none_may_be("own_posts_missed", done["missed"])


async def _drive(world: World, people: list[int], done: Counter[str], end: float) -> None:
    """Do at random what these people, and nobody else, do."""
    draw = random.Random(people[0])
    posts: dict[int, list[int]] = {one: [] for one in people}
    while time.monotonic() < end:
        person, other = draw.choice(people), draw.choice(PEOPLE)
        verb = draw.choices(
            ["post", "delete", "Follow", "Unfollow", "Block", "Unblock", "read"], [8, 2, 8, 2, 1, 2, 8]
        )[0]
        if verb == "post":
            posts[person].append(post := await world.post(person))
            page = await world.first_page(person)
            done["missed"] += page is not None and not page[1] and post not in page[0]
        elif verb == "delete" and posts[person]:
            await world.delete(person, posts[person].pop(draw.randrange(len(posts[person]))))
        elif verb == "read":
            await world.first_page(person)
        elif verb != "delete" and person != other:
            await world.change_edge(verb, person, other)
        else:
            continue
        done[verb] += 1


async def _lose_stores(world: World, _found: Counter[str]) -> None:
    """F4: first pages are right at once without what Redis had, without Redis, and kept ones are shown without both."""
    check = world.check
    check.say("Redis is emptied, stopped, and stopped together with Postgres")
    for author in PEOPLE:
        await world.post(author)
    check.fault("flush_redis")
    await world.flush_redis()
    check.none_may_be("wrong_after_flush", await _wrong_pages(world))
    check.fault("flush_redis")
    await world.flush_redis()
    for author in list(PEOPLE)[:8]:
        await world.post(author)
    await world.settle()
    check.none_may_be("wrong_after_pushes", await _wrong_pages(world))
    async with _down(world, "redis"):
        check.none_may_be("wrong_without_redis", await _wrong_pages(world))
    known = {person: await world.first_page(person) for person in PEOPLE}
    async with _down(world, "redis", "postgres"):
        stale = {person: await world.first_page(person) for person in PEOPLE}
    wrong = [person for person, page in known.items() if page is None or stale[person] != (page[0], True)]
    check.none_may_be("not_stale", len(wrong), *wrong)
    await _all_ready(world)
    end = time.monotonic() + FRESH_SECONDS
    while (wrong_pages := await _wrong_pages(world)) and time.monotonic() < end:
        await asyncio.sleep(0.2)
    check.none_may_be("wrong_afterwards", wrong_pages)


async def _wrong_pages(world: World) -> int:
    """Read everybody's first page once and return how many are not that of the tables."""
    pages = {person: await world.first_page(person) for person in PEOPLE}
    return sum([page != ((await world.oracle(person))[:20], False) for person, page in pages.items()])


class _down:  # noqa: N801 - reads as a statement
    """Servers that are down in a block."""

    def __init__(self, world: World, *names: str) -> None:
        self._world, self._names = world, names

    async def __aenter__(self) -> None:
        for name in self._names:
            self._world.check.fault(f"{name}_down")
            await self._world.stack.hold(name)

    async def __aexit__(self, *_: Any) -> None:
        for name in self._names:
            self._world.stack.release(name)
            await self._world.stack.wait_ready(name)


async def _all_ready(world: World) -> None:
    for name in ("postgres", "nats", "redis", "feed_svc.serve", *WORKERS):
        try:
            await world.stack.wait_ready(name)
        except Trouble as trouble:
            world.check.require(False, f"{name} did not come back: {trouble}")
