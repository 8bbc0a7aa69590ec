"""Requests laid out in bulk."""

import numpy as np
from redis.crc import key_slot

from mesh.redis_bulk import _integers, request, requests, slots_of

IDS = np.array([0, 7, 42, 99_999, 123_456_789_012_345_678], dtype=np.int64)


def test_each_request_is_what_redis_expects() -> None:
    made = requests(IDS, "ZADD", "set:{*}", -5, 77)
    for one in IDS:
        key = f"set:{{{one}}}"
        assert f"*4\r\n$4\r\nZADD\r\n${len(key)}\r\n{key}\r\n$2\r\n-5\r\n$2\r\n77\r\n".encode() in made
    assert made.count(b"ZADD") == len(IDS)


def test_an_id_stands_in_every_word_that_asks_for_it() -> None:
    made = requests(np.array([7], dtype=np.int64), "FCALL", "move", 2, "from:{*}", "to:{*}", 37)
    assert made == b"*6\r\n$5\r\nFCALL\r\n$4\r\nmove\r\n$1\r\n2\r\n$8\r\nfrom:{7}\r\n$6\r\nto:{7}\r\n$2\r\n37\r\n"


def test_slots_are_those_of_the_cluster() -> None:
    assert slots_of(IDS).tolist() == [key_slot(f"home:{{{one}}}".encode()) for one in IDS]


def test_answers_are_read_whatever_their_width() -> None:
    said = [1, 0, 42, 451, 9, 123_456_789_012_345_678, 0]
    assert _integers("".join(f":{one}\r\n" for one in said).encode()).tolist() == said
    assert _integers(b":7\r\n$-1\r\n:12\r\n").tolist() == [7, -1, 12]


def test_a_request_may_hold_whatever_bytes() -> None:
    assert request(b"SET", b"k", b"\r\n\0") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\r\n\0\r\n"
