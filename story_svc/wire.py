"""Between the domain and protobuf, pure."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from heliograph.feed.v1 import relation_pb2, user_pb2
from heliograph.media.v1 import media_pb2
from heliograph.story.v1 import story_admin_service_pb2, story_pb2, story_service_pb2, story_tray_view_pb2
from story_svc.domain import (
    Finding,
    Person,
    Photo,
    Relation,
    Sighting,
    SignedPhoto,
    StoryId,
    StoryRecord,
    StoryView,
    Tray,
    UserId,
    Variant,
)

REMEMBERED_STORIES = 5_000


SEEN = story_pb2.Story(viewer_has_seen=True).SerializeToString()
"""Makes a serialised story one that the viewer has seen: messages that follow each other are merged."""


class Wire:
    """Conversions that remember what they wrote: a story differs between viewers in one flag only."""

    def __init__(self) -> None:
        self._written: dict[StoryId, tuple[SignedPhoto | None, bytes]] = {}

    def story(self, view: StoryView) -> story_pb2.Story:
        """Return a story as one viewer sees it."""
        return story_pb2.Story.FromString(self._bytes(view))

    def tray(self, tray: Tray) -> story_tray_view_pb2.GetStoryTrayResponseView:
        """Return a tray."""
        reply = story_tray_view_pb2.GetStoryTrayResponseView(has_more=tray.has_more, is_stale=tray.is_stale)
        for reel in tray.reels:
            reply.reels.add(
                author=reel.author.payload, has_unseen=reel.has_unseen, stories=map(self._bytes, reel.stories)
            )
        return reply

    def _bytes(self, view: StoryView) -> bytes:
        known = self._written.get(view.story.story_id)
        if known is None or known[0] is not view.photo:
            known = view.photo, _story(view).SerializeToString()
            if len(self._written) >= REMEMBERED_STORIES:
                del self._written[next(iter(self._written))]
            self._written[view.story.story_id] = known
        return known[1] + SEEN if view.viewer_has_seen else known[1]


def _story(view: StoryView) -> story_pb2.Story:
    return story_pb2.Story(
        story_id=view.story.story_id,
        author_id=view.story.author_id,
        photo=_photo(view.photo) if view.photo is not None else None,
        create_time=timestamp(view.story.create_time),
        expire_time=timestamp(view.story.expire_time),
    )


def _photo(signed: SignedPhoto) -> media_pb2.Photo:
    urls = signed.urls or ("",) * len(signed.photo.variants)
    return media_pb2.Photo(
        variants=[
            media_pb2.PhotoVariant(
                url=url,
                width=variant.width,
                height=variant.height,
                format=variant.format,  # type: ignore[arg-type]  # the numbers are the proto's
                size_bytes=variant.size_bytes,
                is_square=variant.is_square,
            )
            for url, variant in zip(urls, signed.photo.variants, strict=True)
        ],
        blurhash=signed.photo.blurhash,
        dominant_colour=signed.photo.dominant_colour,
        width=signed.photo.width,
        height=signed.photo.height,
        url_expire_time=timestamp(signed.url_expire_time) if signed.url_expire_time is not None else None,
    )


def record(of: StoryRecord) -> story_admin_service_pb2.StoryRecord:
    """Return what is kept of a story."""
    message = story_admin_service_pb2.StoryRecord(
        story_id=of.story_id,
        author_id=of.author_id,
        upload_id=of.upload_id,
        state=int(of.state),  # type: ignore[arg-type]  # the numbers are the proto's
        create_time=timestamp(of.create_time),
        expire_time=timestamp(of.expire_time),
        purge_due_time=timestamp(of.purge_due_time),
        is_held=of.is_held,
        hold_reason=of.hold_reason,
    )
    for name in ("delete_time", "purge_time", "hold_time"):
        if (moment := getattr(of, name)) is not None:
            getattr(message, name).FromDatetime(moment)
    return message


def finding(of: Finding) -> story_admin_service_pb2.StoryFinding:
    """Return a disagreement."""
    return story_admin_service_pb2.StoryFinding(
        kind=int(of.kind),  # type: ignore[arg-type]  # the numbers are the proto's
        story_id=of.story_id,
        author_id=of.author_id,
        upload_id=of.upload_id,
        is_repaired=of.is_repaired,
    )


def viewer(sighting: Sighting) -> story_service_pb2.StoryViewer:
    """Return somebody who saw a story."""
    return story_service_pb2.StoryViewer(user_id=sighting.viewer_id, view_time=timestamp(sighting.view_time))


def relation(message: relation_pb2.Relation) -> Relation:
    """Return how the subject stands to the object; somebody who has blocked the subject is as if not there."""
    return Relation(
        exists=message.object_exists and not message.is_blocked_by,
        follows=message.follows,
        is_hidden=message.blocks or message.is_blocked_by,
    )


def person(user: user_pb2.User) -> Person:
    """Return what stands beside a reel."""
    summary = user_pb2.UserSummary(
        user_id=user.user_id,
        username=user.username,
        display_name=user.display_name,
        avatar=user.avatar if user.HasField("avatar") else None,
    )
    return Person(UserId(user.user_id), summary.SerializeToString())


def unknown_person(user_id: UserId) -> Person:
    """Return what stands beside a reel while nobody can say who its author is: the id alone."""
    return Person(user_id, user_pb2.UserSummary(user_id=user_id).SerializeToString())


def photo_of_media(media: media_pb2.Media) -> Photo:
    """Return the photo that media_svc attached."""
    return Photo(
        bucket=media.bucket,
        key_prefix=media.key_prefix,
        variants=tuple(
            Variant(
                name=variant.url,
                width=variant.width,
                height=variant.height,
                format=variant.format,
                size_bytes=variant.size_bytes,
                is_square=variant.is_square,
            )
            for variant in media.variants
        ),
        blurhash=media.blurhash,
        dominant_colour=media.dominant_colour,
        width=media.width,
        height=media.height,
    )


def timestamp(moment: datetime) -> Timestamp:
    """Return a moment on the wire."""
    value = Timestamp()
    value.FromDatetime(moment)
    return value
