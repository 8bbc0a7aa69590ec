"""Graphs of people for the feed's benchmarks, and how they get into the tables.

The friendship graph is that of Reed College (962 people, 18,812 friendships), on which the DeathStarBench social
network is measured, where its file is found; else a made one of the same shape. No account of it has 1,000 followers,
so the skewed graph stands beside it.
"""

import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Connection = psycopg.AsyncConnection[Any]

REED_FILE = Path(__file__).parents[1] / "../shared/data/socfb-Reed98.edges"
REED_PEOPLE, REED_FRIENDSHIPS = 962, 18_812

_LOAD_POSTS = """
INSERT INTO posts (author_id, post_id, request_id, upload_id, photo, caption, alt_text, delivery_mode, policy_version,
                   follower_count, create_time, fan_out_time)
SELECT author, ((ms - 1767225600000) << 22) + (nextval('bench_posts') & 4194303), 'bench ' || currval('bench_posts'),
       gen_random_uuid()::text, model.photo, 'A caption of ordinary length, with a word or two more', '',
       %(mode)s, 1, 0, to_timestamp(ms / 1000.0), CASE WHEN %(mode)s = 1 THEN now() END
FROM (SELECT author, (extract(epoch FROM now()) * 1000)::bigint - 60000 - (random() * %(days)s * 86400000)::bigint AS ms
      FROM unnest(%(authors)s::bigint[]) author, generate_series(1, %(each)s)) AS one,
     (SELECT photo FROM posts LIMIT 1) AS model
"""


@dataclass(frozen=True, slots=True)
class Graph:
    """Who follows whom, each pair once."""

    name: str
    followers: Ids
    followees: Ids

    @property
    def people(self) -> Ids:
        """Everybody, ascending."""
        return np.unique(np.concatenate([self.followers, self.followees]))


def joined(graphs: Sequence[Graph]) -> Graph:
    """All of these in one."""
    followers = np.concatenate([graph.followers for graph in graphs])
    followees = np.concatenate([graph.followees for graph in graphs])
    others = followers != followees
    pairs = np.unique(np.stack([followers[others], followees[others]]), axis=1)
    return Graph(", ".join(graph.name for graph in graphs if graph.name), *pairs)


def friendships(first: int) -> Graph:
    """The Reed graph, or a made one; people are numbered from `first`. A friendship is two edges."""
    file = Path(os.environ.get("GRAPH", "") or REED_FILE)
    if file.exists():
        pairs = np.loadtxt(file, dtype=np.int64).T + first
        name = file.name
    else:
        pairs = _made_friendships().T + first
        name = "a made graph of the same shape"
    return Graph(name, *np.concatenate([pairs, pairs[::-1]], axis=1))


def crowd(people: Ids, followees: Ids, *, each: int, seed: int) -> Graph:
    """Everybody follows `each` of the followees: neighbours on a circle, from a place drawn by lot."""
    circle = np.random.default_rng(seed).permutation(followees)
    begins = np.random.default_rng(seed + 1).integers(0, len(circle), (len(people), 1))
    chosen = circle[(begins + np.arange(each)) % len(circle)]
    return Graph("", np.repeat(people, each), chosen.ravel())


def audience(account: int, followers: Ids) -> Graph:
    """All of them follow one account."""
    return Graph("", followers, np.full(len(followers), account, dtype=np.int64))


async def load(database: Connection, graph: Graph) -> None:
    """Write people, edges and counters."""
    await _copy(database, "users (user_id, username, display_name)", ((n, f"u{n}", "Somebody") for n in _each(graph)))
    pairs = list(zip(graph.followers.tolist(), graph.followees.tolist(), strict=True))
    await _copy(database, "follows (follower_id, followee_id)", sorted(pairs))
    await _copy(database, "followers (follower_id, followee_id)", sorted(pairs, key=lambda pair: pair[::-1]))
    for column, ends in (("follower_count", graph.followees), ("following_count", graph.followers)):
        counted = zip(*(part.tolist() for part in np.unique(ends, return_counts=True)), strict=True)
        slot = 0 if column == "follower_count" else 1
        rows = ((person, slot, count) for person, count in counted)
        await _copy(database, f"user_counts (user_id, slot, {column})", rows)


async def load_posts(database: Connection, authors: Ids, *, each: int, is_pulled: bool = False, days: int = 10) -> None:
    """Write posts of the last days, as if they had been delivered; with the photo of a post that exists."""
    await database.execute("CREATE SEQUENCE IF NOT EXISTS bench_posts")
    parameters = {"authors": authors.tolist(), "each": each, "mode": 2 if is_pulled else 1, "days": days}
    await database.execute(_LOAD_POSTS, parameters)
    if is_pulled:
        await database.execute(
            "INSERT INTO pull_authors (author_id) SELECT unnest(%s::bigint[]) ON CONFLICT DO NOTHING",
            (authors.tolist(),),
        )
    await database.execute(
        "INSERT INTO user_counts (user_id, slot, post_count) SELECT author, 2, %s FROM unnest(%s::bigint[]) author"
        " ON CONFLICT (user_id, slot) DO UPDATE SET post_count = user_counts.post_count + excluded.post_count",
        (each, authors.tolist()),
    )


@asynccontextmanager
async def bulk_writer(dsn: str) -> AsyncIterator[Connection]:
    """A connection that does not wait for the disk."""
    options = "-c synchronous_commit=off -c statement_timeout=0"
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, options=options) as database:
        yield database


def _each(graph: Graph) -> list[int]:
    people: list[int] = graph.people.tolist()
    return people


async def _copy(database: Connection, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
    lines = "\n".join("\t".join(map(str, row)) for row in rows) + "\n"
    async with database.cursor() as cursor, cursor.copy(f"COPY {columns} FROM STDIN") as copy:  # type: ignore[arg-type]
        await copy.write(lines)


def _made_friendships() -> NDArray[np.int64]:
    """Preferential attachment: newcomers befriend those who have many friends already."""
    draw = np.random.default_rng(98)
    each = REED_FRIENDSHIPS // REED_PEOPLE + 1
    ends = list(range(each))
    pairs: set[tuple[int, int]] = set()
    for person in range(each, REED_PEOPLE):
        chosen = {ends[place] for place in draw.integers(0, len(ends), 2 * each)} - {person}
        friends = sorted(chosen)[:each]
        pairs.update((person, friend) for friend in friends)
        ends += [person] * len(friends) + friends
    return np.array(sorted(pairs), dtype=np.int64)
