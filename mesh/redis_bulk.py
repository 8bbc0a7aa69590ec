"""Redis in bulk: one command for very many keys that differ only in a number, as fast as the server takes it.

redis-py packs about 95,000 commands a second; here the requests of a whole batch are laid out with numpy (millions a
second) and sent as they are, over connections of their own. In a cluster each request goes to the node of its slot.

    lengths = await bulk.integers(follower_ids, "RPUSHX", "home:{*}", post_id)

A `*` in a word stands for the id; it is the hash tag of every key. `replicated` is the same for writes that a failover
must not lose, `each` takes requests that differ in more than the id.
"""

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter
from redis.asyncio import RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from mesh.redis import AnyRedis

Ids = NDArray[np.int64]
Bytes = NDArray[np.uint8]

ANSWER_SECONDS = 5.0
IDLE_CONNECTIONS = 16
READ_BYTES = 256 * 1024
SLOTS = 16_384
REPLICA_MS = 2_000
"""How long a batch waits for a replica, less than `ANSWER_SECONDS`."""
HOPELESS_SECONDS = 10.0
"""After a replica was too slow it is not waited for so long: it must not hold up the work for good."""

Node = tuple[str, int]
"""Host and port."""

_FOUR_DIGITS: Bytes = np.frombuffer("".join(f"{n:04}" for n in range(10_000)).encode(), dtype=np.uint8).reshape(-1, 4)
_MAX_DIGITS = 20

_unreplicated = Counter("redis_unreplicated_writes", "Bulk writes that no replica had confirmed in time")


def requests(ids: Ids, *words: int | str) -> bytes:
    """Return the same command for each id (0 or more), ready to be sent; a `*` in a word stands for the id.

    Requests stand in the order of the ids' lengths, not of the ids.
    """
    return b"".join(rows.tobytes() for _, rows in _request_rows(ids, words))


def request(*words: bytes) -> bytes:
    """Return one command, ready to be sent."""
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


def _request_rows(ids: Ids, words: tuple[int | str, ...]) -> Iterator[tuple[NDArray[np.intp], Bytes]]:
    for places, digits in _by_length(ids):
        length = digits.shape[1]
        hole = "*" * length
        template = f"*{len(words)}\r\n" + "".join(_bulk_string(str(word).replace("*", hole)) for word in words)
        rows = np.tile(np.frombuffer(template.encode(), dtype=np.uint8), (len(places), 1))
        for found in re.finditer(re.escape(hole), template[1:]):
            rows[:, found.start() + 1 : found.end() + 1] = digits
        yield places, rows


def _bulk_string(value: int | str) -> str:
    text = str(value)
    return f"${len(text.encode())}\r\n{text}\r\n"


def _by_length(ids: Ids) -> Iterator[tuple[NDArray[np.intp], Bytes]]:
    """Yield the places of ids with equally many digits, and these digits as ASCII."""
    rest = ids.copy()
    digits = np.empty((len(ids), _MAX_DIGITS), dtype=np.uint8)
    for column in range(_MAX_DIGITS - 4, -1, -4):
        rest, low = np.divmod(rest, 10_000)
        digits[:, column : column + 4] = _FOUR_DIGITS[low]
    first = np.argmax(digits != ord("0"), axis=1)
    first[ids == 0] = _MAX_DIGITS - 1
    for start in np.unique(first):
        places = np.nonzero(first == start)[0]
        yield places, digits[places, start:]


def _crc_table() -> NDArray[np.uint16]:
    table = np.zeros(256, dtype=np.uint16)
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        table[byte] = crc & 0xFFFF
    return table


_CRC = _crc_table()


def slots_of(ids: Ids) -> NDArray[np.int64]:
    """Return the cluster slot of each key whose hash tag is the id alone: `home:{42}`."""
    slots = np.zeros(len(ids), dtype=np.int64)
    for places, digits in _by_length(ids):
        crc = np.zeros(len(places), dtype=np.uint16)
        for column in range(digits.shape[1]):
            crc = (crc << np.uint16(8)) ^ _CRC[(crc >> np.uint16(8)) ^ digits[:, column]]
        slots[places] = crc % SLOTS
    return slots


@dataclass(frozen=True, slots=True)
class _Share:
    """What one server does of a batch."""

    node: Node
    has_replica: bool
    places: NDArray[np.intp]
    """Of its ids in the batch."""


class Bulk:
    """Sends bulk requests to the servers of a client."""

    def __init__(self, client: AnyRedis, url: str, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        """`url` is the client's: it says how to log in. A server that takes longer to answer counts as away."""
        self._client = client
        self._address = urlsplit(url)
        self._answer_seconds = answer_seconds
        self._idle: dict[Node, list[_Connection]] = {}
        self._hopeless_until: dict[Node, float] = {}

    async def integers(self, ids: Ids, *words: int | str) -> Ids:
        """Run a command that answers with a number, 0 or more, for each id; return the answers in the order of the ids.

        An answer of nothing is -1. The hash tag of the keys must be the id alone. `RedisError` when a server refuses or
        is away: some keys may be done then, so the command must be safe to repeat.
        """
        return await self._run(ids, words, is_awaited=False)

    async def replicated(self, ids: Ids, *words: int | str) -> Ids:
        """The same for writes: where a server has a replica, return when one has them too, so that a failover loses
        none. One that is too slow is not waited for; the metric `redis_unreplicated_writes` counts what it lacked.
        """
        return await self._run(ids, words, is_awaited=True)

    async def each(self, ids: Ids, requests: Sequence[bytes]) -> list[bytes]:
        """Send one `request` for each id, and return the replies in the order of the ids.

        Each must be one line: a number, a status, or nothing (`$-1`). The rest is as with `integers`.
        """
        answers = [b""] * len(requests)

        async def do(share: _Share) -> None:
            places = share.places.tolist()
            replies = await self._ask(share.node, [requests[place] for place in places], len(places))
            for place, reply in zip(places, replies.split(b"\r\n"), strict=False):
                answers[place] = reply

        await asyncio.gather(*(do(share) for share in await self._shares(ids)))
        return answers

    async def close(self) -> None:
        """Close every connection."""
        connections = [connection for idle in self._idle.values() for connection in idle]
        self._idle.clear()
        for connection in connections:
            connection.close()
        await asyncio.gather(*(connection.closed() for connection in connections))

    async def _run(self, ids: Ids, words: tuple[int | str, ...], *, is_awaited: bool) -> Ids:
        answers = np.zeros(len(ids), dtype=np.int64)
        shares = await self._shares(ids)
        await asyncio.gather(*(self._do(share, ids, words, answers, is_awaited=is_awaited) for share in shares))
        return answers

    async def _shares(self, ids: Ids) -> list[_Share]:
        if not isinstance(self._client, RedisCluster):
            pool = self._client.connection_pool
            everything = np.arange(len(ids))
            if isinstance(pool, SentinelConnectionPool):
                host, port = await pool.get_master_address()  # type: ignore[no-untyped-call]
                return [_Share((str(host), int(port)), True, everything)]
            return [_Share((self._address.hostname or "127.0.0.1", self._address.port or 6379), False, everything)]
        numbers: dict[tuple[Node, bool], int] = {}
        owners = np.full(SLOTS, -1, dtype=np.int64)
        for slot, (primary, *replicas) in self._client.nodes_manager.slots_cache.items():
            owner = ((str(primary.host), int(primary.port)), bool(replicas))
            owners[slot] = numbers.setdefault(owner, len(numbers))
        owner_of = owners[slots_of(ids)]
        if (owner_of < 0).any():
            raise RedisConnectionError("the cluster does not serve all slots")
        shares = (_Share(*owner, np.nonzero(owner_of == number)[0]) for owner, number in numbers.items())
        return [share for share in shares if len(share.places)]

    async def _do(
        self, share: _Share, ids: Ids, words: tuple[int | str, ...], answers: Ids, *, is_awaited: bool
    ) -> None:
        parts = list(_request_rows(ids[share.places], words))
        order = share.places[np.concatenate([part for part, _ in parts])] if parts else share.places
        asked = [rows.tobytes() for _, rows in parts]
        is_hopeless = time.monotonic() < self._hopeless_until.get(share.node, 0.0)
        if does_wait := is_awaited and share.has_replica and not is_hopeless:
            asked.append(_plain("WAIT", "1", str(REPLICA_MS)))
        found = _integers(await self._ask(share.node, asked, len(order) + does_wait))
        answers[order] = found[: len(order)]
        if does_wait and found[-1] < 1:
            self._hopeless_until[share.node] = time.monotonic() + HOPELESS_SECONDS
            is_hopeless = True
        if is_awaited and share.has_replica and is_hopeless:
            _unreplicated.inc(len(order))

    async def _ask(self, node: Node, asked: list[bytes], count: int) -> bytes:
        connection = await self._take(node)
        try:
            async with asyncio.timeout(self._answer_seconds):
                replies = await connection.ask(asked, count)
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError | EOFError):
                raise RedisConnectionError(f"lost the connection to {node[0]}:{node[1]}") from error
            raise
        self._give_back(node, connection)
        if b"\n-" in replies or replies.startswith(b"-"):
            await self._refuse(replies)
        return replies

    async def _refuse(self, replies: bytes) -> None:
        error = next(line for line in replies.split(b"\r\n") if line.startswith(b"-"))
        if error.startswith((b"-MOVED", b"-ASK")) and isinstance(self._client, RedisCluster):
            await self._client.nodes_manager.initialize()
            raise RedisConnectionError("slots have moved; repeat")
        raise ResponseError(error[1:].decode(errors="replace"))

    async def _take(self, node: Node) -> "_Connection":
        idle = self._idle.setdefault(node, [])
        while idle:
            connection = idle.pop()
            if connection.is_usable:
                return connection
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await _Connection.open(node, self._address)
        except OSError as error:
            raise RedisConnectionError(f"can't reach {node[0]}:{node[1]}") from error

    def _give_back(self, node: Node, connection: "_Connection") -> None:
        idle = self._idle.setdefault(node, [])
        if len(idle) < IDLE_CONNECTIONS:
            idle.append(connection)
        else:
            connection.close()


@asynccontextmanager
async def connect(client: AnyRedis, url: str, *, answer_seconds: float = ANSWER_SECONDS) -> AsyncIterator[Bulk]:
    """Send bulk requests to the servers of `client`, whose address is `url`, until the end of the block."""
    bulk = Bulk(client, url, answer_seconds=answer_seconds)
    try:
        yield bulk
    finally:
        await bulk.close()


class _Connection:
    """One connection that is logged in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, node: Node, address: Any) -> "_Connection":
        tls = ssl.create_default_context() if address.scheme == "rediss" else None
        connection = cls(*await asyncio.open_connection(*node, ssl=tls))
        greetings = []
        if address.password:
            user = unquote(address.username or "default")
            greetings.append(_plain("AUTH", user, unquote(address.password)))
        if (database := address.path.strip("/")) not in ("", "0"):
            greetings.append(_plain("SELECT", database))
        try:
            reply = await connection.ask(greetings, len(greetings))
        except BaseException:
            connection.close()
            raise
        if b"-" in reply:
            connection.close()
            raise ResponseError(reply.decode(errors="replace"))
        return connection

    @property
    def is_usable(self) -> bool:
        return not self._writer.is_closing() and not self._reader.at_eof()

    async def ask(self, parts: list[bytes], count: int) -> bytes:
        """Send requests and return the `count` one-line replies."""
        self._writer.writelines(parts)
        await self._writer.drain()
        received = []
        while count > 0:
            data = await self._reader.read(READ_BYTES)
            if not data:
                raise EOFError
            received.append(data)
            count -= data.count(b"\n")
        return b"".join(received)

    def close(self) -> None:
        self._writer.close()

    async def closed(self) -> None:
        with suppress(OSError):
            await self._writer.wait_closed()


def _integers(replies: bytes) -> Ids:
    """Read `:12\\r\\n` and its like, fifty times as fast as int() for each; what is nothing (`$-1`) is -1."""
    data = np.frombuffer(replies, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n")) - 1
    starts = np.concatenate([[0], ends[:-1] + 2])
    answers = np.full(len(ends), -1, dtype=np.int64)
    widths = np.where(data[starts] == ord(":"), ends - starts - 1, 0)
    for width in np.unique(widths[widths > 0]).tolist():
        places = np.nonzero(widths == width)[0]
        digits = data[starts[places][:, None] + np.arange(1, width + 1)].astype(np.int64) - ord("0")
        answers[places] = digits @ 10 ** np.arange(width - 1, -1, -1)
    return answers


def _plain(*words: str) -> bytes:
    return (f"*{len(words)}\r\n" + "".join(_bulk_string(word) for word in words)).encode()
