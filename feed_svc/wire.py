"""Between the domain and protobuf, pure."""

from dataclasses import dataclass
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from feed_svc.domain import Photo, Post, PostView, User, Variant
from heliograph.feed.v1 import feed_item_pb2, post_pb2, user_pb2
from heliograph.media.v1 import media_pb2


@dataclass(frozen=True, slots=True)
class Wire:
    """What conversion needs beyond its arguments."""

    media_public_url: str
    """Base address of public photos, without a slash at the end."""

    def feed_item(self, view: PostView) -> feed_item_pb2.FeedItem:
        """Return a post as one viewer sees it."""
        return feed_item_pb2.FeedItem(post=self.post(view.post, view.author))

    def post(self, post: Post, author: User) -> post_pb2.Post:
        """Return the record of a post: the same bytes for every viewer."""
        return post_pb2.Post(
            post_id=post.post_id,
            author=user_summary(author),
            photo=self.photo(post.photo),
            caption=post.caption,
            alt_text=post.alt_text,
            create_time=timestamp(post.create_time),
        )

    def photo(self, photo: Photo) -> media_pb2.Photo:
        """Return a public photo, with the address of its variants."""
        return media_pb2.Photo(
            base_url=f"{self.media_public_url}/{photo.key_prefix}",
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


def user_summary(user: User) -> user_pb2.UserSummary:
    """Return what stands beside a post."""
    return user_pb2.UserSummary(user_id=user.user_id, username=user.username, display_name=user.display_name)


def user(found: User) -> user_pb2.User:
    """Return a profile."""
    return user_pb2.User(
        user_id=found.user_id,
        username=found.username,
        display_name=found.display_name,
        follower_count=found.follower_count,
        following_count=found.following_count,
        create_time=timestamp(found.create_time),
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
