"""Requests laid out in bulk."""

import numpy as np
from redis.crc import key_slot

from mesh.redis_bulk import requests, slots_of

IDS = np.array([0, 7, 42, 99_999, 123_456_789_012_345_678], dtype=np.int64)


def test_each_request_is_what_redis_expects() -> None:
    made = requests("ZADD", "tl:{", IDS, "}", -5, 77)
    for one in IDS:
        key = f"tl:{{{one}}}"
        assert f"*4\r\n$4\r\nZADD\r\n${len(key)}\r\n{key}\r\n$2\r\n-5\r\n$2\r\n77\r\n".encode() in made
    assert made.count(b"ZADD") == len(IDS)


def test_slots_are_those_of_the_cluster() -> None:
    assert slots_of(IDS).tolist() == [key_slot(f"tl:{{{one}}}".encode()) for one in IDS]
