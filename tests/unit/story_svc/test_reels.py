import json
from types import SimpleNamespace

import pytest

from story_svc.cache.reels import FIELDS_AT_ONCE, SHARDS, Reels, listed
from story_svc.domain import UserId


def calls_for(count: int, *, is_cluster: bool):
    reels = Reels(SimpleNamespace(is_cluster=is_cluster))
    return reels._calls(listed(UserId(user_id) for user_id in range(1, count + 1)))


@pytest.mark.parametrize("count", [1, 50, 500, 5_000, 40_000])
@pytest.mark.parametrize("is_cluster", [False, True])
def test_each_author_is_asked_for_once_in_their_shard_and_no_call_is_long(count: int, is_cluster: bool):
    asked = []
    for keys, wanted in calls_for(count, is_cluster=is_cluster):
        fields = [(key, int(field)) for key, chunk in zip(keys, json.loads(wanted), strict=True) for field in chunk]
        assert len(fields) <= FIELDS_AT_ONCE
        assert all(key == b"story:live:{%d}" % (author % SHARDS) for key, author in fields)
        asked += [author for _, author in fields]
    assert sorted(asked) == list(range(1, count + 1))


def test_one_call_serves_500_followees_on_one_server_and_each_of_a_cluster_s_touches_one_key():
    assert len(calls_for(500, is_cluster=False)) == 1
    assert {len(keys) for keys, _ in calls_for(500, is_cluster=True)} == {1}
