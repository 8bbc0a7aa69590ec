from datetime import UTC, datetime, timedelta
from itertools import pairwise

from mesh.config import S3Config
from mesh.presign import Presigner
from story_svc.domain import Photo, Story, StoryId, UserId, Variant
from story_svc.photos import Photos

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def story(number: int) -> Story:
    photo = Photo("private", f"{number}/", (Variant("640.jpg", 640, 640, 1, 1_000, False),), "", "#000000", 640, 640)
    return Story(StoryId(number), UserId(1), photo, NOW, NOW + timedelta(hours=24))


def test_an_address_is_given_out_for_a_minute_and_lives_four_more():
    photos = Photos(Presigner(S3Config("http://127.0.0.1:9", "access", "secret", "us-east-1", None)))
    of_a_story = [photos.sign(story(7), NOW + number * SECOND) for number in range(180)]
    for number, signed in enumerate(of_a_story):
        assert signed.url_expire_time >= NOW + number * SECOND + timedelta(minutes=4)
    changes = [number for number in range(1, 180) if of_a_story[number] is not of_a_story[number - 1]]
    assert len(changes) == 3
    assert {later - earlier for earlier, later in pairwise(changes)} == {60}


def test_stories_that_were_signed_at_once_are_not_signed_anew_at_once():
    photos = Photos(Presigner(S3Config("http://127.0.0.1:9", "access", "secret", "us-east-1", None)))
    shown = [story(number) for number in range(1, 121)]
    first = [photos.sign(one, NOW) for one in shown]
    for number in range(1, 61):
        again = [photos.sign(one, NOW + number * SECOND) for one in shown]
        assert sum(one is not other for one, other in zip(first, again, strict=True)) == 2
        first = again
