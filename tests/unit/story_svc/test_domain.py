from datetime import UTC, datetime, timedelta

import pytest

from story_svc.domain import (
    LIFECYCLE,
    LIFETIME,
    PURGE_DELAY,
    Entry,
    Relation,
    StoryId,
    StoryState,
    UserId,
    attachment_reference,
    checked_batch,
    checked_hold_reason,
    checked_page_size,
    checked_request_id,
    checked_upload_id,
    delay,
    is_live,
    live_entries,
    may_see,
    parse_reference,
    rank,
    step,
    url_end,
)
from story_svc.errors import (
    BatchTooLarge,
    LegalHoldReasonRequired,
    PageSizeInvalid,
    RequestIdInvalid,
    UploadNotFound,
)

T = datetime(2026, 6, 1, 12, 0, 0, 123_000, UTC)
MS = timedelta(milliseconds=1)


def entry(number: int, end: datetime = T) -> Entry:
    return Entry(StoryId(number), end)


def test_S1_the_end_is_half_open():
    assert is_live(T, T - MS)
    assert not is_live(T, T)
    assert not is_live(T, T + MS)
    assert live_entries([entry(1, T), entry(2, T + MS)], T) == (entry(2, T + MS),)


def test_S3_the_lifecycle_is_24_hours_and_seven_days_without_a_way_back():
    assert (timedelta(hours=24), timedelta(days=7)) == (LIFETIME, PURGE_DELAY)
    assert not [one for one in LIFECYCLE if one.target is StoryState.LIVE or one.source is StoryState.PURGED]
    with pytest.raises(ValueError, match="never goes"):
        step(StoryState.PURGED, StoryState.LIVE)
    with pytest.raises(ValueError, match="nothing is ever due"):
        delay(StoryState.LIVE, StoryState.DELETED)


@pytest.mark.parametrize("left_ms", [1, 500, 999, 1_000, 1_500, 59_999, 299_999, 300_000, 301_000, 86_400_000])
@pytest.mark.parametrize("fraction_us", [0, 1, 123_000, 999_999])
def test_S1_an_address_ends_with_its_story_or_after_five_minutes(left_ms: int, fraction_us: int):
    now = T.replace(microsecond=fraction_us)
    expire_time = now + timedelta(milliseconds=left_ms)
    end = url_end(expire_time, now)
    if end is None:
        assert left_ms < 1_000
    else:
        assert now < end <= min(expire_time, now + timedelta(minutes=5))
        assert end.microsecond == 0


def test_the_tray_is_own_first_then_unseen_then_newest():
    me, seen_author, new_author, old_author = map(UserId, (1, 2, 3, 4))
    reels = {
        old_author: (entry(40, T + timedelta(hours=1)),),
        seen_author: (entry(20, T + timedelta(hours=9)),),
        me: (entry(10, T + timedelta(minutes=1)),),
        new_author: (entry(30, T + timedelta(hours=1)), entry(31, T + timedelta(hours=2))),
        UserId(5): (entry(50, T),),
    }
    ranked = rank(reels, viewer=me, seen=frozenset({StoryId(20), StoryId(30)}), now=T)
    assert [one.author_id for one in ranked] == [me, new_author, old_author, seen_author]
    assert [one.has_unseen for one in ranked] == [False, True, True, False]


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        (None, False),
        (Relation(exists=True, follows=True, is_hidden=False), True),
        (Relation(exists=True, follows=False, is_hidden=False), False),
        (Relation(exists=True, follows=True, is_hidden=True), False),
    ],
)
def test_only_followers_without_a_block_see_stories(relation: Relation | None, expected: bool):
    assert may_see(UserId(1), UserId(2), relation) is expected
    assert may_see(UserId(2), UserId(2), relation)


def test_a_reference_is_read_back_whatever_the_request_id_holds():
    assert parse_reference(attachment_reference(UserId(7), "a:b c")) == (7, "a:b c")
    for foreign in ("post:7:x", "story:x:y", "story:7:", "story"):
        assert parse_reference(foreign) is None


def test_bad_input_is_refused_with_its_reason():
    for wrong in ("", "x" * 65, "caf\u00e9", "a\nb"):
        with pytest.raises(RequestIdInvalid):
            checked_request_id(wrong)
    with pytest.raises(UploadNotFound):
        checked_upload_id("upload")
    for size in (-1, 101):
        with pytest.raises(PageSizeInvalid):
            checked_page_size(size, default=20, most=100)
    assert checked_page_size(0, default=20, most=100) == 20
    for batch in ([], list(range(101))):
        with pytest.raises(BatchTooLarge):
            checked_batch(batch)
    for reason in ("", "  ", "x" * 501, "a\0b"):
        with pytest.raises(LegalHoldReasonRequired):
            checked_hold_reason(reason)
