"""One's own profile: changed once, and shown beside posts at once."""

import uuid

import pytest

from heliograph.feed.v1 import graph_service_pb2
from mesh.errors import HeliographError
from tests.integration.feed_svc.world import ON_ONE_SERVER, World

pytestmark = ON_ONE_SERVER


async def change(world: World, person: int, **fields):
    request = graph_service_pb2.UpdateProfileRequest(**{"request_id": uuid.uuid4().hex, **fields})
    return (await world.call(world.faces.graph.UpdateProfile, request, by=person)).user


async def author_shown(world: World, viewer: int):
    return (await world.page(viewer, size=1)).items[0].post.author


async def test_a_new_name_and_picture_stand_beside_posts_in_the_next_feed(world: World) -> None:
    await world.people(1, 2)
    await world.follow(2, 1)
    await world.post(1)
    assert (await author_shown(world, 2)).display_name == "user1"
    user = await change(world, 1, display_name="Ada 🌅 عدا", avatar_upload_id=str(uuid.uuid4()))
    shown = await author_shown(world, 2)
    assert (user.display_name, shown.display_name) == ("Ada 🌅 عدا", "Ada 🌅 عدا")
    assert shown.avatar.base_url == "http://photos.example/ab/cdef/"
    assert [variant.is_square for variant in shown.avatar.variants] == [True]
    await change(world, 1, avatar_upload_id="")
    shown = await author_shown(world, 2)
    assert not shown.HasField("avatar")
    assert shown.display_name == "Ada 🌅 عدا"


async def test_a_repeated_change_is_done_once_and_undoes_nothing(world: World) -> None:
    await world.people(1)
    key = uuid.uuid4().hex
    await change(world, 1, display_name="first", request_id=key)
    await change(world, 1, display_name="second")
    assert (await change(world, 1, display_name="first", request_id=key)).display_name == "second"
    with pytest.raises(HeliographError) as refused:
        await change(world, 1, display_name="third", request_id=key)
    assert refused.value.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_a_process_that_heard_of_no_change_shows_it_within_ten_seconds(world: World, monkeypatch) -> None:
    """What a process keeps of a profile is eight seconds old at most, and Redis has the newer one."""
    await world.people(1, 2)
    await world.follow(2, 1)
    await world.post(1)
    await author_shown(world, 2)
    records = world.parts.records
    await world.caught_up()
    await world.kill_workers()  # no notice is sent any more
    monkeypatch.setattr(type(records), "forget_author", lambda self, author: None)
    await change(world, 1, display_name="new")
    now = records._authors._now
    monkeypatch.setattr(records._authors, "_now", lambda: now() + 8.1)
    assert (await author_shown(world, 2)).display_name == "new"


@pytest.mark.parametrize(
    ("person", "fields", "reason"),
    [
        (1, {"display_name": "x" * 65}, "DISPLAY_NAME_INVALID"),
        (1, {"display_name": "a\0b"}, "TEXT_INVALID"),
        (1, {"display_name": "a", "request_id": "ü"}, "REQUEST_ID_INVALID"),
        (9, {"display_name": "a"}, "USER_NOT_FOUND"),
    ],
)
async def test_a_change_that_cannot_be_is_refused(world: World, person: int, fields, reason: str) -> None:
    await world.people(1)
    with pytest.raises(HeliographError) as refused:
        await change(world, person, **fields)
    assert refused.value.reason == reason
