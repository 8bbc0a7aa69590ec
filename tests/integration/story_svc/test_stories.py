"""What people do with stories, over real servers."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from mesh.errors import HeliographError
from story_svc.errors import (
    BatchTooLarge,
    IdempotencyKeyReused,
    PageSizeInvalid,
    RequestIdInvalid,
    StoryDailyLimitReached,
    StoryNotFound,
    UploadNotFound,
    UserNotFound,
)
from tests.integration.story_svc.world import World, ids, moment

ANNA, BEN, CARA, DAVE = 1, 2, 3, 4


@contextmanager
def refused(reason: str) -> Iterator[None]:
    """Expect an error of another service, passed on with its reason."""
    with pytest.raises(HeliographError) as raised:
        yield
    assert raised.value.reason == reason


async def test_a_follower_sees_a_story_at_once_and_for_exactly_24_hours(world: World):
    world.graph.follow(BEN, ANNA)
    story = await world.publish(ANNA)
    assert moment(story.expire_time) - moment(story.create_time) == timedelta(hours=24)
    assert await world.tray_ids(BEN) == [story.story_id]
    assert ids((await world.list_stories(BEN, ANNA)).stories) == [story.story_id]
    assert (await world.get(BEN, story.story_id))[0].story_id == story.story_id


async def test_the_same_request_publishes_once_and_another_photo_is_refused(world: World):
    upload = world.media.upload(ANNA)
    first = await world.publish(ANNA, request_id="r1", upload_id=upload)
    again = await world.publish(ANNA, request_id="r1", upload_id=upload)
    assert again.story_id == first.story_id
    with pytest.raises(IdempotencyKeyReused):
        await world.publish(ANNA, request_id="r1")


async def test_requests_side_by_side_publish_one_story(world: World):
    upload = world.media.upload(ANNA)
    found = await asyncio.gather(*(world.publish(ANNA, request_id="r1", upload_id=upload) for _ in range(8)))
    assert len({story.story_id for story in found}) == 1
    assert await world.sql("SELECT count(*) FROM outbox") == [(1,)]


async def test_a_photo_that_is_not_ones_own_not_ready_or_taken_is_refused_with_its_reason(world: World):
    with refused("UPLOAD_NOT_FOUND"):
        await world.publish(ANNA, upload_id=world.media.upload(BEN))
    with pytest.raises(UploadNotFound):
        await world.publish(ANNA, upload_id="not a uuid")
    pending = world.media.upload(ANNA)
    world.media.not_ready.add(pending)
    with refused("UPLOAD_NOT_READY"):
        await world.publish(ANNA, upload_id=pending)
    taken = world.media.upload(ANNA)
    await world.publish(ANNA, upload_id=taken)
    with refused("UPLOAD_ALREADY_ATTACHED"):
        await world.publish(ANNA, upload_id=taken)
    with pytest.raises(RequestIdInvalid):
        await world.publish(ANNA, request_id="x" * 65)


async def test_the_tray_has_own_first_then_unseen_then_newest(world: World):
    world.graph.follow(DAVE, ANNA, BEN, CARA)
    start = world.clock.now()
    of = {}
    for number, author in enumerate([ANNA, BEN, CARA, DAVE]):
        await world.set_clock(start + timedelta(seconds=number))
        of[author] = await world.publish(author)
    reels = (await world.tray(DAVE)).reels
    assert [reel.author.user_id for reel in reels] == [DAVE, CARA, BEN, ANNA]
    assert [reel.has_unseen for reel in reels] == [False, True, True, True]
    assert reels[1].author.username == "user3"
    await world.mark_seen(DAVE, of[CARA].story_id)
    reels = (await world.tray(DAVE)).reels
    assert [reel.author.user_id for reel in reels] == [DAVE, BEN, ANNA, CARA]
    assert reels[3].stories[0].viewer_has_seen
    short = await world.tray(DAVE, page_size=2)
    assert len(short.reels) == 2
    assert short.has_more


async def test_a_reel_is_oldest_first_and_pages(world: World):
    world.graph.follow(BEN, ANNA)
    start = world.clock.now()
    published = []
    for number in range(5):
        await world.set_clock(start + timedelta(seconds=number))
        published.append((await world.publish(ANNA)).story_id)
    assert ids((await world.tray(BEN)).reels[0].stories) == published
    first = await world.list_stories(BEN, ANNA, page_size=2)
    second = await world.list_stories(BEN, ANNA, page_size=2, page_token=first.next_page_token)
    third = await world.list_stories(BEN, ANNA, page_size=2, page_token=second.next_page_token)
    assert ids([*first.stories, *second.stories, *third.stories]) == published
    assert third.next_page_token == ""
    with pytest.raises(PageSizeInvalid):
        await world.list_stories(BEN, ANNA, page_size=101)


async def test_only_followers_and_the_author_see_it(world: World):
    world.graph.follow(BEN, ANNA)
    story = await world.publish(ANNA)
    assert await world.get(CARA, story.story_id) == [None]
    assert (await world.list_stories(CARA, ANNA)).stories == []
    assert await world.tray_ids(CARA) == []
    with pytest.raises(StoryNotFound):
        await world.mark_seen(CARA, story.story_id)
    with pytest.raises(UserNotFound):
        await world.list_stories(CARA, 5_000_000)
    assert (await world.get(ANNA, story.story_id))[0].viewer_has_seen


async def test_a_block_hides_stories_both_ways_at_once(world: World):
    world.graph.follow(BEN, ANNA)
    world.graph.follow(ANNA, BEN)
    of_anna, of_ben = await world.publish(ANNA), await world.publish(BEN)
    assert await world.tray_ids(BEN) == [of_ben.story_id, of_anna.story_id]
    world.graph.block(ANNA, BEN)
    assert await world.get(BEN, of_anna.story_id) == [None]
    assert await world.get(ANNA, of_ben.story_id) == [None]
    with pytest.raises(UserNotFound):
        await world.list_stories(BEN, ANNA)
    assert (await world.list_stories(ANNA, BEN)).stories == []
    await world.workers.drop_followees.after_block(ANNA, BEN)
    assert await world.tray_ids(BEN) == [of_ben.story_id]
    assert await world.tray_ids(ANNA) == [of_anna.story_id]


async def test_the_author_learns_who_has_seen_it_and_nobody_else_does(world: World):
    story = await world.publish(ANNA)
    start = world.clock.now()
    for number, viewer in enumerate([BEN, CARA, DAVE]):
        world.graph.follow(viewer, ANNA)
        await world.set_clock(start + timedelta(seconds=number))
        await world.mark_seen(viewer, story.story_id)
        await world.mark_seen(viewer, story.story_id)
    await world.mark_seen(ANNA, story.story_id)
    page = await world.list_viewers(ANNA, story.story_id, page_size=2, include_cursors=True)
    assert [one.user_id for one in page.viewers] == [DAVE, CARA]
    assert page.total_count == 3
    rest = await world.list_viewers(ANNA, story.story_id, page_token=page.next_page_token)
    assert [one.user_id for one in rest.viewers] == [BEN]
    again = await world.list_viewers(ANNA, story.story_id, page_token=page.cursors[0])
    assert [one.user_id for one in again.viewers] == [CARA, BEN]
    with pytest.raises(StoryNotFound):
        await world.list_viewers(BEN, story.story_id)
    world.graph.block(DAVE, ANNA)
    assert [one.user_id for one in (await world.list_viewers(ANNA, story.story_id)).viewers] == [CARA, BEN]


async def test_when_one_of_several_may_not_be_seen_none_is_noted(world: World):
    world.graph.follow(BEN, ANNA)
    visible, hidden = await world.publish(ANNA), await world.publish(CARA)
    with pytest.raises(StoryNotFound):
        await world.mark_seen(BEN, visible.story_id, hidden.story_id)
    assert (await world.list_viewers(ANNA, visible.story_id)).total_count == 0
    with pytest.raises(BatchTooLarge):
        await world.mark_seen(BEN)


async def test_a_deleted_story_is_gone_for_everybody_and_deleting_again_tells_the_same_end(world: World):
    world.graph.follow(BEN, ANNA)
    story = await world.publish(ANNA)
    assert await world.tray_ids(BEN) == [story.story_id]
    with pytest.raises(StoryNotFound):
        await world.delete(BEN, story.story_id)
    end = await world.delete(ANNA, story.story_id)
    assert await world.delete(ANNA, story.story_id) == end
    assert await world.tray_ids(BEN) == []
    assert await world.get(BEN, story.story_id) == [None]
    # Its event of the publishing comes late, and must not bring it back.
    await world.run_events()
    assert await world.tray_ids(BEN) == []
    await world.set_clock(world.clock.now() + timedelta(days=2))
    assert await world.delete(ANNA, story.story_id) == end


async def test_the_daily_limit_counts_deleted_stories_and_says_when_one_more_fits(world: World):
    world.config = replace(world.config, daily_limit=2)
    world.wire_up()
    start = world.clock.now()
    await world.set_clock(start)
    first = await world.publish(ANNA)
    await world.set_clock(start + timedelta(hours=1))
    await world.publish(ANNA)
    await world.delete(ANNA, first.story_id)
    upload = world.media.upload(ANNA)
    with pytest.raises(StoryDailyLimitReached) as refused:
        await world.publish(ANNA, upload_id=upload)
    wait_ms = int(refused.value.metadata["retry_after_ms"])
    assert timedelta(hours=22, minutes=59) < timedelta(milliseconds=wait_ms) <= timedelta(hours=23)
    assert upload not in world.media.references
    await world.set_clock(world.clock.now() + timedelta(milliseconds=wait_ms))
    await world.publish(ANNA, upload_id=upload)


async def test_the_limit_holds_when_many_publish_side_by_side(world: World):
    world.config = replace(world.config, daily_limit=3)
    world.wire_up()
    outcomes = await asyncio.gather(*(world.publish(ANNA) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(one, StoryDailyLimitReached) for one in outcomes) == 5
    assert len(await world.tray_ids(ANNA)) == 3


async def test_while_the_graph_is_away_the_last_known_followees_serve_and_it_says_so(world: World):
    world.graph.follow(BEN, ANNA)
    story = await world.publish(ANNA)
    await world.tray(BEN)
    world.graph.is_away = True
    await world.workers.drop_followees(BEN)
    tray = await world.tray(BEN)
    assert tray.is_stale
    assert ids(tray.reels[0].stories) == [story.story_id]
    assert ids((await world.list_stories(BEN, ANNA)).stories) == [story.story_id]
    # After a block not even that list may be used.
    await world.workers.drop_followees.after_block(ANNA, BEN)
    with pytest.raises(HeliographError, match="UNAVAILABLE"):
        await world.tray(BEN)


async def test_a_warm_tray_asks_nobody_but_redis(world: World):
    world.graph.follow(BEN, ANNA)
    story = await world.publish(ANNA)
    await world.tray(BEN)
    calls = world.graph.calls
    # Without its store the service still answers, as long as all is warm.
    await world.sql("ALTER TABLE stories RENAME TO hidden_stories")
    for _ in range(5):
        assert await world.tray_ids(BEN) == [story.story_id]
    assert world.graph.calls == calls
