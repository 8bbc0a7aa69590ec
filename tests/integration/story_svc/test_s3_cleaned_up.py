"""S3: one StoryExpired a story, the row stays, the photo goes seven days later and not before, no orphans are left."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from heliograph.events.v1 import live_events_pb2
from heliograph.story.v1 import story_admin_service_pb2, story_pb2
from mesh.errors import HeliographError
from story_svc.domain import LIFECYCLE, Ended, StoryState
from story_svc.errors import LegalHoldReasonRequired, StoryAlreadyPurged, StoryNotFound
from story_svc.events import story_expired
from story_svc.usecases.end_stories import EndStories
from story_svc.usecases.schedule_expiry import LEAD
from story_svc.usecases.sweep_stories import SweepStories
from tests.fixtures.stack import eventually
from tests.integration.story_svc.world import World, moment

ANNA, BEN = 1, 2
MS = timedelta(milliseconds=1)
DAY = timedelta(days=1)


async def _one_pass(world: World) -> None:
    """What the workers do all the time, once: events, sweeper, events of the sweeper, purge."""
    await world.run_events()
    await world.workers.sweep_stories()
    await world.run_events()
    await world.workers.purge_stories()
    await world.workers.forget_views()
    await world.run_events()


async def test_S3_eight_days_of_stories_are_expired_once_and_purged_on_time(world: World):
    """Ten simulated days: on the first eight, three people publish three stories a day, and one story is deleted."""
    start = world.clock.now()
    world.graph.follow(BEN, ANNA)
    published: dict[int, tuple[str, object]] = {}
    deleted: set[int] = set()
    too_early = too_late = looks = 0
    for hour in range(0, 24 * 17, 6):
        now = start + timedelta(hours=hour)
        await world.set_clock(now)
        if hour < 24 * 8 and hour % 24 == 0:
            for author in (ANNA, BEN, 3):
                for _ in range(3):
                    upload = world.media.upload(author)
                    story = await world.publish(author, upload_id=upload)
                    published[story.story_id] = (upload, story)
                    if author == ANNA:
                        await world.mark_seen(BEN, story.story_id)
            await world.delete(3, story.story_id)
            deleted.add(story.story_id)
        await _one_pass(world)
        for story_id, (upload, story) in published.items():
            end = moment(story.create_time) if story_id in deleted else moment(story.expire_time)
            looks += 1
            too_early += upload in world.media.purged and now < end + 7 * DAY
            too_late += upload not in world.media.purged and now > end + 7 * DAY + timedelta(minutes=1)
    assert (too_early, too_late) == (0, 0)
    expired = Counter(await world.expired_events())
    assert len(expired) == len(published) - len(deleted)
    assert set(expired.values()) == {1}
    rows = dict(await world.sql("SELECT story_id, state FROM stories"))
    assert rows == dict.fromkeys(published, int(StoryState.PURGED))
    assert await world.sql("SELECT count(*) FROM story_views") == [(0,)]
    assert await world.sql("SELECT count(*) FROM story_seen") == [(0,)]
    assert await world.reconcile() == []
    print(f"S3: {len(published)} stories, {len(deleted)} deleted, {looks} looks, {too_early} early, {too_late} late")


async def test_S3_the_photo_is_there_until_the_last_millisecond_of_seven_days(world: World):
    upload = world.media.upload(ANNA)
    await world.set_clock(world.clock.now())
    story = await world.publish(ANNA, upload_id=upload)
    due = moment(story.expire_time) + timedelta(days=7)
    await world.set_clock(due - MS)
    await _one_pass(world)
    assert upload not in world.media.purged
    await world.set_clock(due)
    await _one_pass(world)
    assert upload in world.media.purged
    record = await world.record(story.story_id)
    assert record.state == story_pb2.STORY_STATE_PURGED
    assert moment(record.purge_time) == due


async def test_S3_a_woken_worker_says_it_at_the_millisecond_and_the_sweeper_adds_nothing(world: World):
    await world.let_time_run()
    await world.shift_clock(-DAY + timedelta(seconds=5))
    stories = [await world.publish(author) for author in (ANNA, BEN, 3, 4)]
    await world.shift_clock(timedelta(0))
    await world.parts.schedule.follow()
    subjects = {f"story.expired.{story.author_id}.{story.story_id}" for story in stories}
    async with world.running():

        async def all_moved() -> bool:
            moved = await world.sql("SELECT count(*) FROM stories WHERE state = 2")
            return moved == [(len(stories),)]

        await eventually(all_moved, within=15)
        await world.workers.sweep_stories.expire(limit=100, grace=timedelta(0))
    assert Counter(await world.expired_events()) == dict.fromkeys(subjects, 1)
    for story in stories:
        subject = f"story.expired.{story.author_id}.{story.story_id}"
        stored = await world.parts.jetstream.context.get_msg("STORIES", subject=subject, next=True, seq=1)
        assert timedelta(0) <= stored.time - moment(story.expire_time) < timedelta(seconds=1)


async def test_S3_one_wake_up_serves_a_second_and_a_repeated_one_says_nothing_twice(world: World):
    await world.let_time_run()
    await world.shift_clock(-DAY + timedelta(hours=1))
    stories = [await world.publish(author) for author in range(1, 11)]
    seconds = {moment(story.expire_time).replace(microsecond=0) for story in stories}
    await world.run_events()
    info = await world.parts.jetstream.context.stream_info("STORIES", subjects_filter="story.schedule.>")
    assert set(info.state.subjects or {}) == {f"story.schedule.{int(second.timestamp())}" for second in seconds}
    await world.shift_clock(timedelta(hours=1))
    await asyncio.gather(*(world.workers.expire_on_time(second) for second in [*seconds, *seconds]))
    assert len(await world.expired_events()) == len(stories)
    assert set(Counter(await world.expired_events()).values()) == {1}


async def test_S3_a_wake_up_that_comes_too_early_is_put_off(world: World):
    """The clock of NATS is ahead of the database's."""
    await world.set_clock(world.clock.now())
    story = await world.publish(ANNA)
    second = moment(story.expire_time).replace(microsecond=0)
    await world.set_clock(second - timedelta(hours=1))
    assert await world.workers.expire_on_time(second) == timedelta(hours=1) - LEAD
    assert await world.expired_events() == []


async def test_S3_any_number_of_sweepers_say_it_once(world: World):
    await world.set_clock(world.clock.now())
    stories = [await world.publish(author) for author in range(1, 31)]
    await world.set_clock(moment(stories[-1].expire_time) + timedelta(hours=2))
    store, schedule = world.parts.store, world.parts.schedule
    sweepers = [SweepStories(store=store, end_stories=EndStories(store=store, schedule=schedule)) for _ in range(4)]
    moved = await asyncio.gather(*(one.expire(limit=10, grace=timedelta(0)) for one in sweepers))
    moved += await asyncio.gather(*(one.expire(limit=10, grace=timedelta(0)) for one in sweepers))
    assert sum(moved) == 30
    assert set(Counter(await world.expired_events()).values()) == {1}


async def test_S3_a_crash_after_the_event_says_nothing_twice(world: World):
    """The sweeper published and died before its commit."""
    await world.set_clock(world.clock.now())
    story = await world.publish(ANNA)
    await world.set_clock(moment(story.expire_time) + timedelta(minutes=1))
    await world.parts.schedule.publish_once([story_expired(Ended(story.story_id, ANNA, moment(story.expire_time)))])
    await world.workers.sweep_stories()
    assert len(await world.expired_events()) == 1
    assert (await world.record(story.story_id)).state == story_pb2.STORY_STATE_EXPIRED


async def test_S3_a_redelivered_event_changes_nothing(world: World):
    world.graph.follow(BEN, ANNA)
    await world.set_clock(world.clock.now())
    story = await world.publish(ANNA)
    end = moment(story.expire_time)
    await world.set_clock(end)
    await world.workers.sweep_stories.expire(limit=10, grace=timedelta(0))
    told = Ended(story.story_id, ANNA, end)
    assert [await world.workers.expire_story(told) for _ in range(3)] == [None] * 3
    assert await asyncio.gather(*(world.workers.expire_story(told) for _ in range(5))) == [None] * 5
    assert len(await world.expired_events()) == 1
    assert (await world.record(story.story_id)).state == story_pb2.STORY_STATE_EXPIRED
    assert await world.tray_ids(BEN) == []


async def test_S3_an_event_that_comes_too_early_is_put_off(world: World):
    """The clock of NATS is ahead of the database's."""
    await world.set_clock(world.clock.now())
    story = await world.publish(ANNA)
    end = moment(story.expire_time)
    await world.set_clock(end - timedelta(seconds=3))
    remaining = await world.workers.expire_story(Ended(story.story_id, ANNA, end))
    assert remaining == timedelta(seconds=3)
    assert await world.tray_ids(ANNA) == [story.story_id]
    await world.set_clock(end)
    assert await world.workers.expire_story(Ended(story.story_id, ANNA, end)) is None


async def test_S3_a_deleted_story_is_never_said_to_be_expired(world: World):
    await world.let_time_run()
    await world.shift_clock(-DAY)
    kept, deleted = await world.publish(ANNA), await world.publish(ANNA)
    await world.run_events()
    await world.delete(ANNA, deleted.story_id)
    await world.run_events()
    await world.shift_clock(timedelta(0))
    await world.workers.expire_on_time(moment(kept.expire_time).replace(microsecond=0))
    await world.workers.expire_on_time(moment(deleted.expire_time).replace(microsecond=0))
    await world.shift_clock(timedelta(hours=1))
    await _one_pass(world)
    assert await world.expired_events() == [f"story.expired.{ANNA}.{kept.story_id}"]


async def test_S3_sabotage_a_sweeper_that_is_off_is_caught(world: World):
    """With NATS' schedules lost and no sweeper, stories stay LIVE in the record for ever, and the lag says so."""
    await world.set_clock(world.clock.now())
    story = await world.publish(ANNA)
    await world.set_clock(moment(story.expire_time) + 8 * DAY)
    await world.workers.purge_stories()
    due = await world.workers.sweep_stories.measure()
    assert (await world.record(story.story_id)).state == story_pb2.STORY_STATE_LIVE
    assert (due.to_expire, due.expiry_lag_seconds) == (1, (8 * DAY).total_seconds())


async def test_S3_legal_hold_keeps_the_photo_and_its_reason_for_ever(world: World):
    upload = world.media.upload(ANNA)
    await world.set_clock(world.clock.now())
    story = await world.publish(ANNA, upload_id=upload)
    record = await world.hold(story.story_id, is_held=True, reason="court order 7")
    assert (record.is_held, record.hold_reason) == (True, "court order 7")
    assert upload in world.media.held
    due = moment(story.expire_time) + timedelta(days=30)
    await world.set_clock(due)
    await _one_pass(world)
    assert upload not in world.media.purged
    assert await world.tray_ids(ANNA) == []
    await world.hold(story.story_id, is_held=False, reason="case closed")
    await _one_pass(world)
    assert upload in world.media.purged
    history = await world.sql("SELECT is_held, reason FROM story_holds ORDER BY hold_id")
    assert history == [(True, "court order 7"), (False, "case closed")]
    with pytest.raises(StoryAlreadyPurged):
        await world.hold(story.story_id, is_held=True)
    with pytest.raises(LegalHoldReasonRequired):
        await world.hold(story.story_id, is_held=True, reason="  ")
    with pytest.raises(StoryNotFound):
        await world.hold(4711, is_held=True)


async def test_a_photo_that_can_t_be_purged_keeps_no_other_waiting(world: World):
    await world.set_clock(world.clock.now())
    uploads = [world.media.upload(ANNA) for _ in range(3)]
    stories = [await world.publish(ANNA, upload_id=upload) for upload in uploads]
    world.media.fails_to_purge.add(uploads[0])
    await world.set_clock(moment(stories[-1].expire_time) + timedelta(days=7))
    await _one_pass(world)
    assert set(world.media.purged) == set(uploads[1:])
    world.media.fails_to_purge.clear()
    await world.set_clock(moment(stories[-1].expire_time) + timedelta(days=7, minutes=11))
    await _one_pass(world)
    assert set(world.media.purged) == set(uploads)


async def test_catching_up_moves_what_is_due_and_says_what_is_left(world: World):
    await world.set_clock(world.clock.now())
    stories = [await world.publish(author) for author in range(1, 8)]
    await world.set_clock(moment(stories[-1].expire_time))
    request = story_admin_service_pb2.CatchUpExpiryRequest(page_size=4)
    first = await world.admin.CatchUpExpiry(request, None)
    assert (first.expired_count, first.remaining_count) == (4, 3)
    second = await world.admin.CatchUpExpiry(request, None)
    assert (second.expired_count, second.remaining_count, second.lag.ToMilliseconds()) == (3, 0, 0)
    await world.set_clock(moment(stories[-1].expire_time) + timedelta(days=7))
    third = await world.admin.CatchUpExpiry(story_admin_service_pb2.CatchUpExpiryRequest(), None)
    assert (third.purged_count, third.remaining_count) == (7, 0)


async def test_reconciliation_finds_and_repairs_each_kind_of_disagreement(world: World):
    await world.set_clock(world.clock.now())
    story = await world.publish(ANNA)
    lost_upload = world.media.upload(BEN)
    lost = await world.publish(BEN, upload_id=lost_upload)
    await world.tray(ANNA)
    await world.tray(BEN)
    # A photo attached to a story that was never committed.
    orphan = world.media.upload(3)
    world.media.references[orphan] = "story:3:crashed"
    # A row that the cache lacks, an entry without a row, a photo that is gone.
    cache = world.parts.cache.server.primary
    await cache.hset("story:live:{1}", str(ANNA), "V")
    await cache.hset("story:live:{2}", str(BEN), f"V{lost.story_id}:4102444800000 4711:4102444800000")
    world.media.purged[lost_upload] = "lost"
    assert await world.reconcile()
    findings = {(one.kind, one.story_id, one.is_repaired) for one in await world.reconcile(repair=True)}
    kind = story_admin_service_pb2
    assert (kind.STORY_FINDING_KIND_ROW_WITHOUT_CACHE, story.story_id, True) in findings
    assert (kind.STORY_FINDING_KIND_CACHE_WITHOUT_ROW, 4711, True) in findings
    assert (kind.STORY_FINDING_KIND_PHOTO_WITHOUT_ROW, 0, True) in findings
    assert (kind.STORY_FINDING_KIND_ROW_WITHOUT_PHOTO, lost.story_id, False) in findings
    assert orphan in world.media.purged
    left = {one.kind for one in await world.reconcile()}
    assert left == {kind.STORY_FINDING_KIND_ROW_WITHOUT_PHOTO}
    assert await world.tray_ids(ANNA) == [story.story_id]
    with pytest.raises(HeliographError):
        await world.admin.ReconcileStories(kind.ReconcileStoriesRequest(page_token="forged"), None)


async def test_open_apps_of_author_and_followers_are_told(world: World):
    world.graph.follow(BEN, ANNA)
    heard: list[live_events_pb2.LiveEvent] = []
    await world.parts.jetstream.hear(
        "live.*", lambda message: heard.append(live_events_pb2.LiveEvent.FromString(message.data))
    )
    await world.set_clock(world.clock.now())
    first, second = await world.publish(ANNA), await world.publish(ANNA)
    await world.run_events()
    await eventually(lambda: len(heard) == 4)
    assert {(one.user_id, one.story_tray_changed.author_id) for one in heard} == {(ANNA, ANNA), (BEN, ANNA)}
    heard.clear()
    await world.delete(ANNA, first.story_id)
    await world.set_clock(moment(second.expire_time))
    await world.workers.sweep_stories.expire(limit=10, grace=timedelta(0))
    await world.run_events()
    await eventually(lambda: len(heard) == 6)
    gone = {(one.user_id, one.story_expired.story_id) for one in heard if one.WhichOneof("event") == "story_expired"}
    assert gone == {(user, story.story_id) for user in (ANNA, BEN) for story in (first, second)}


def test_the_lifecycle_has_no_way_back():
    assert not [step for step in LIFECYCLE if step.target is StoryState.LIVE or step.source is StoryState.PURGED]
