"""Presigned addresses of photos: made here, by arithmetic, and dead with their story."""

from datetime import datetime, timedelta

from mesh.presign import Presigner
from story_svc.domain import SignedPhoto, Story, StoryId, url_end

CACHE_CONTROL = "private, no-store"
REUSE_SECONDS = 60
"""How long an address is given out again at most: whoever gets it has 4 of its 5 minutes left, or the story's rest."""
SIGNED_IN_PROCESS = 5_000


class Photos:
    """Signs by the clock by which stories end, so that an address made here is never too young or too old there.

    The object store compares with its own clock: how far that is off is how far an address can outlive its story.
    """

    def __init__(self, presigner: Presigner) -> None:
        self._presigner = presigner
        self._signed: dict[StoryId, tuple[SignedPhoto, datetime]] = {}

    def sign(self, story: Story, now: datetime) -> SignedPhoto:
        """Return the photo with an address for each variant; without addresses in the last second of its story.

        `now` is the moment at which the story was found to be live.
        """
        known = self._signed.get(story.story_id)
        if known is not None and now < known[1]:
            return known[0]
        signed = self._sign(story, now)
        if len(self._signed) >= SIGNED_IN_PROCESS:
            del self._signed[next(iter(self._signed))]
        end = signed.url_expire_time
        self._signed[story.story_id] = signed, min(_next_signing(story, now), end) if end is not None else now
        return signed

    def _sign(self, story: Story, now: datetime) -> SignedPhoto:
        end = url_end(story.expire_time, now)
        if end is None:
            return SignedPhoto(story.photo, None, None)
        signed_at = now.replace(microsecond=0)
        seconds = (end - signed_at) // timedelta(seconds=1)
        urls = tuple(
            self._presigner.get(
                story.photo.bucket,
                story.photo.key_prefix + variant.name,
                signed_at=signed_at,
                seconds=seconds,
                cache_control=CACHE_CONTROL,
            )
            for variant in story.photo.variants
        )
        return SignedPhoto(story.photo, urls, end)


def _next_signing(story: Story, now: datetime) -> datetime:
    """Return when a story is signed anew: each in its own second of every minute, so that a process never has to sign
    all that it shows at once.
    """
    return now + timedelta(seconds=REUSE_SECONDS - (int(now.timestamp()) - story.story_id) % REUSE_SECONDS)
