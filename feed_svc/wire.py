"""Between the domain and protobuf, pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from feed_svc.domain import (
    AuthorSummary,
    DeliveryPolicy,
    Difference,
    Explanation,
    Photo,
    Post,
    PostView,
    Profile,
    Record,
    ThresholdCost,
    TimelineState,
    User,
    Variant,
)
from heliograph.feed.v1 import (
    delivery_policy_pb2,
    feed_admin_service_pb2,
    feed_item_pb2,
    feed_service_pb2,
    post_pb2,
    user_pb2,
)
from heliograph.media.v1 import media_pb2


@dataclass(frozen=True, slots=True)
class Wire:
    """What conversion needs beyond its arguments."""

    media_public_url: str
    """Base address of public photos, without a slash at the end."""

    def feed_item(self, view: PostView) -> feed_item_pb2.FeedItem:
        """Return a post as one viewer sees it."""
        item = feed_item_pb2.FeedItem(like_count=view.like_count, viewer_has_liked=view.viewer_has_liked)
        item.post.ParseFromString(view.record.body)
        item.post.author.ParseFromString(view.author.body)
        self._complete(item.post.photo)
        if item.post.author.HasField("avatar"):
            self._complete(item.post.author.avatar)
        return item

    def record(self, post: Post) -> Record:
        """Return what is the same of a post for every viewer. Addresses are left incomplete: they are a setting."""
        message = post_pb2.Post(
            post_id=post.post_id,
            photo=_photo(post.photo),
            caption=post.caption,
            alt_text=post.alt_text,
            create_time=timestamp(post.create_time),
        )
        return Record(post.post_id, post.author_id, message.SerializeToString(deterministic=True))

    def summary(self, profile: Profile) -> AuthorSummary:
        """Return a profile as it stands beside posts, with the square variants of the picture only."""
        message = user_pb2.UserSummary(
            user_id=profile.user_id, username=profile.username, display_name=profile.display_name
        )
        if profile.avatar is not None:
            squares = tuple(variant for variant in profile.avatar.variants if variant.is_square)
            message.avatar.CopyFrom(_photo(replace(profile.avatar, variants=squares)))
        return AuthorSummary(profile.user_id, profile.version, message.SerializeToString(deterministic=True))

    def user(self, found: User) -> user_pb2.User:
        """Return a profile."""
        message = user_pb2.User(
            user_id=found.user_id,
            username=found.username,
            display_name=found.display_name,
            follower_count=found.follower_count,
            following_count=found.following_count,
            post_count=found.post_count,
            create_time=timestamp(found.create_time),
        )
        if found.avatar is not None:
            message.avatar.CopyFrom(_photo(found.avatar))
            self._complete(message.avatar)
        return message

    def _complete(self, photo: media_pb2.Photo) -> None:
        photo.base_url = f"{self.media_public_url}/{photo.base_url}"


def _photo(photo: Photo) -> media_pb2.Photo:
    """Return a public photo; its base address begins after that of all public photos."""
    return media_pb2.Photo(
        base_url=photo.key_prefix,
        variants=[
            media_pb2.PhotoVariant(
                url=variant.name,
                width=variant.width,
                height=variant.height,
                format=variant.format,  # type: ignore[arg-type]  # the numbers are the proto's
                size_bytes=variant.size_bytes,
                is_square=variant.is_square,
            )
            for variant in photo.variants
        ],
        blurhash=photo.blurhash,
        dominant_colour=photo.dominant_colour,
        width=photo.width,
        height=photo.height,
    )


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


def policy(found: DeliveryPolicy) -> delivery_policy_pb2.DeliveryPolicy:
    """Return a version of the policy."""
    return delivery_policy_pb2.DeliveryPolicy(
        version=found.version,
        pull_threshold=found.pull_threshold,
        hysteresis_percent=found.hysteresis_percent,
        rollout_percent=found.rollout_percent,
        set_by=found.set_by,
        note=found.note,
        create_time=timestamp(found.create_time),
    )


def timeline_state(state: TimelineState) -> feed_service_pb2.TimelineState:
    """Return what is stored of a timeline."""
    return feed_service_pb2.TimelineState(
        exists=state.exists,
        entry_count=state.entry_count,
        floor_time=timestamp(state.floor_time) if state.floor_time else None,
        build_time=timestamp(state.build_time) if state.build_time else None,
        last_read_time=timestamp(state.last_read_time) if state.last_read_time else None,
        pulled_author_count=state.pulled_author_count,
    )


def explanation(entry: Explanation) -> feed_service_pb2.FeedExplanation:
    """Return why a post is in a feed, or isn't."""
    message = feed_service_pb2.FeedExplanation(
        post_id=entry.facts.post_id,
        author_id=entry.facts.author_id,
        create_time=timestamp(entry.facts.create_time),
        source=int(entry.source),  # type: ignore[arg-type]  # the numbers are the proto's
        delivery_mode=int(entry.facts.delivery_mode),  # type: ignore[arg-type]
        policy_version=entry.facts.policy_version,
        dropped_by=int(entry.dropped_by),  # type: ignore[arg-type]
    )
    if entry.facts.fan_out_seconds is not None:
        message.fan_out_lag.FromTimedelta(timedelta(seconds=entry.facts.fan_out_seconds))
    return message


def difference(found: Difference) -> feed_admin_service_pb2.FeedDifference:
    """Return a difference between a feed and the oracle."""
    return feed_admin_service_pb2.FeedDifference(
        user_id=found.user_id,
        post_id=found.post_id,
        kind=int(found.kind),  # type: ignore[arg-type]
    )


def threshold_cost(cost: ThresholdCost) -> feed_admin_service_pb2.ThresholdCost:
    """Return what a threshold costs."""
    return feed_admin_service_pb2.ThresholdCost(
        pull_threshold=cost.pull_threshold,
        pulled_author_count=cost.pulled_author_count,
        pushes_per_day=cost.pushes_per_day,
        pulls_per_read=cost.pulls_per_read,
        max_pushes_per_post=cost.max_pushes_per_post,
    )


def dead_letter(
    *, dead_letter_id: int, post_id: int, after_follower_id: int, attempt_count: int, error: str, dead_time: datetime
) -> feed_admin_service_pb2.FanOutDeadLetter:
    """Return a chunk that was given up."""
    return feed_admin_service_pb2.FanOutDeadLetter(
        dead_letter_id=dead_letter_id,
        post_id=post_id,
        after_follower_id=after_follower_id,
        attempt_count=attempt_count,
        error=error,
        dead_time=timestamp(dead_time),
    )
