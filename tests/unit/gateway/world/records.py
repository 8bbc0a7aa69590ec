"""What the world knows, and how tests put it there."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from heliograph.dm.v1 import (
    inbox_pb2,
    message_pb2,
)
from heliograph.feed.v1 import (
    post_pb2,
    user_pb2,
)
from heliograph.media.v1 import media_pb2, upload_pb2
from heliograph.story.v1 import story_pb2
from mesh.errors import HeliographError

START = datetime(2026, 7, 14, 9, 30, tzinfo=UTC)
BASE = "http://photos.example/heliograph-photos/ab/abcdef/"


def error(kind: type[HeliographError], reason: str) -> HeliographError:
    return kind.received(reason=reason, message=reason.lower().replace("_", " "), metadata={})


def photo(name: str, *, base: str = BASE, presigned: str = "") -> media_pb2.Photo:
    """A photo with three widths and a square, each in two formats."""
    variants = []
    for width, square in ((1080, False), (640, False), (320, False), (150, True)):
        for form, suffix in ((media_pb2.IMAGE_FORMAT_WEBP, "webp"), (media_pb2.IMAGE_FORMAT_JPEG, "jpg")):
            file = f"{'square-' if square else ''}{width}.{suffix}"
            variants.append(
                media_pb2.PhotoVariant(
                    url=f"{presigned}{name}/{file}?signature=x" if presigned else file,
                    width=width,
                    height=width if square else width * 3 // 4,
                    format=form,
                    size_bytes=width * 100,
                    is_square=square,
                )
            )
    return media_pb2.Photo(
        base_url="" if presigned else base,
        variants=variants,
        blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj",
        dominant_colour="#a0b0c0",
        width=1080,
        height=810,
    )


def pair(one: int, other: int) -> str:
    return f"{min(one, other)}-{max(one, other)}"


class Records:
    """The data."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int | None]] = []
        self.failing: dict[str, HeliographError] = {}
        self.slow: dict[str, float] = {}
        self.users: dict[int, user_pb2.User] = {}
        self.follows: set[tuple[int, int]] = set()
        self.blocks: set[tuple[int, int]] = set()
        self.posts: dict[int, post_pb2.Post] = {}
        self.likes: set[tuple[int, int]] = set()
        self.stories: dict[int, story_pb2.Story] = {}
        self.seen: set[tuple[int, int]] = set()
        self.messages: dict[str, list[message_pb2.Message]] = defaultdict(list)
        self.read: dict[tuple[str, int], int] = defaultdict(int)
        self.requests: set[tuple[str, int]] = set()
        self.inboxes: dict[int, list[inbox_pb2.InboxEntry]] = defaultdict(list)
        self.oldest_kept: dict[int, int] = defaultdict(int)
        self.uploads: dict[str, upload_pb2.Upload] = {}
        self.settings: dict[int, int] = {}
        self.is_stale = False

    # Setting up

    def person(self, user_id: int, username: str, *, avatar: bool = True) -> user_pb2.User:
        user = user_pb2.User(
            user_id=user_id,
            username=username,
            display_name=username.title(),
            follower_count=user_id,
            following_count=2,
            post_count=3,
        )
        user.create_time.FromDatetime(START)
        if avatar:
            user.avatar.CopyFrom(photo(username))
        self.users[user_id] = user
        return user

    def post(self, post_id: int, author_id: int, caption: str = "", alt_text: str = "") -> post_pb2.Post:
        record = post_pb2.Post(
            post_id=post_id,
            author=self.summary(author_id),
            photo=photo(str(post_id)),
            caption=caption,
            alt_text=alt_text,
        )
        record.create_time.FromDatetime(START + timedelta(milliseconds=post_id))
        self.posts[post_id] = record
        return record

    def story(self, story_id: int, author_id: int) -> story_pb2.Story:
        record = story_pb2.Story(
            story_id=story_id, author_id=author_id, photo=photo(str(story_id), presigned="http://private.example/")
        )
        record.create_time.FromDatetime(START)
        record.expire_time.FromDatetime(START + timedelta(hours=24))
        self.stories[story_id] = record
        return record

    def upload(self, upload_id: str, owner_id: int, kind: int = upload_pb2.UPLOAD_KIND_POST) -> upload_pb2.Upload:
        upload = upload_pb2.Upload(
            upload_id=upload_id,
            owner_id=owner_id,
            kind=kind,
            status=upload_pb2.UPLOAD_STATUS_READY,
            content_type="image/jpeg",
            size_bytes=1000,
            photo=photo("up"),
        )
        upload.create_time.FromDatetime(START)
        upload.expire_time.FromDatetime(START + timedelta(minutes=5))
        self.uploads[upload_id] = upload
        return upload

    def say(self, sender_id: int, recipient_id: int, content: str, message_id: str) -> message_pb2.Message:
        """Send a message: into the conversation and both inboxes."""
        conversation_id = pair(sender_id, recipient_id)
        log = self.messages[conversation_id]
        for known in log:
            if known.message_id == message_id:
                return known
        message = message_pb2.Message(
            message_id=message_id,
            conversation_id=conversation_id,
            number=len(log) + 1,
            sender_id=sender_id,
            content=content,
        )
        message.send_time.FromDatetime(START + timedelta(seconds=len(log)))
        log.append(message)
        for user_id in (sender_id, recipient_id):
            self.enter(user_id, conversation_id, message_received=message)
        return message

    def enter(self, user_id: int, conversation_id: str, **event: Any) -> inbox_pb2.InboxEntry:
        entry = inbox_pb2.InboxEntry(useq=len(self.inboxes[user_id]) + 1, conversation_id=conversation_id, **event)
        entry.commit_time.FromDatetime(START)
        self.inboxes[user_id].append(entry)
        return entry
