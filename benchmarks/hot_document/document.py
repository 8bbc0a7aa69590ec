"""The document, and the pages that the backend answers with."""

import random
from datetime import UTC, datetime, timedelta

from heliograph.feed.v1.feed_item_pb2 import FeedItem
from heliograph.feed.v1.feed_service_pb2 import GetHomeFeedResponse
from heliograph.feed.v1.post_pb2 import Post
from heliograph.feed.v1.user_pb2 import UserSummary
from heliograph.media.v1.media_pb2 import IMAGE_FORMAT_JPEG, IMAGE_FORMAT_WEBP, Photo, PhotoVariant
from heliograph.story.v1.story_pb2 import Story, StoryReel
from heliograph.story.v1.story_service_pb2 import GetStoryTrayResponse

TEXT = """query Home($width: Int) {
  home {
    feed(first: 20) {
      edges { node {
        id caption blurhash createdAt likeCount viewerHasLiked
        photoUrl(width: $width)
        author { id username }
      } }
      pageInfo { hasNextPage endCursor }
    }
    storyTray(first: 10) { hasUnseen author { id username avatarUrl } }
  }
}"""
"""20 posts of 8 fields and the authors of 10 reels."""
VARIABLES = {"width": 640}

POSTS, AUTHORS, PAGES, PAGE_SIZE, REELS = 2_000, 300, 500, 20, 10
START = datetime(2026, 7, 14, 9, 30, tzinfo=UTC)
WORDS = ("light", "over", "harbour", "early", "morning", "with", "friends", "from", "north", "after", "rain")


def pages() -> tuple[list[bytes], list[bytes]]:
    """Return replies of GetHomeFeed and of GetStoryTray. Pages share posts, as feeds do; counters and likes differ."""
    draw = random.Random(1)
    authors = [_author(1_000 + number) for number in range(AUTHORS)]
    posts = [_post(10**15 + number * 4096, draw.choice(authors), draw) for number in range(POSTS)]
    reels = [_reel(number, author) for number, author in enumerate(authors[:50])]
    feeds = [_feed(draw.sample(posts, PAGE_SIZE), draw) for _ in range(PAGES)]
    trays = [GetStoryTrayResponse(reels=draw.sample(reels, REELS)).SerializeToString() for _ in range(PAGES)]
    return feeds, trays


def _feed(posts: list[Post], draw: random.Random) -> bytes:
    items = [
        FeedItem(post=post, like_count=draw.randrange(5_000), viewer_has_liked=draw.random() < 0.2) for post in posts
    ]
    return GetHomeFeedResponse(items=items, next_page_token=f"cursor-{draw.getrandbits(128):x}").SerializeToString()


def _post(post_id: int, author: UserSummary, draw: random.Random) -> Post:
    post = Post(
        post_id=post_id,
        author=author,
        photo=_photo(f"{draw.getrandbits(160):040x}", widths=(1080, 640, 320)),
        caption=" ".join(draw.choices(WORDS, k=14)),
        alt_text=" ".join(draw.choices(WORDS, k=6)),
    )
    post.create_time.FromDatetime(START - timedelta(seconds=draw.randrange(10**6), milliseconds=draw.randrange(1000)))
    return post


def _author(user_id: int) -> UserSummary:
    return UserSummary(
        user_id=user_id,
        username=f"person.{user_id}",
        display_name=f"Person {user_id}",
        avatar=_photo(f"{user_id:040x}", widths=()),
    )


def _reel(number: int, author: UserSummary) -> StoryReel:
    story = Story(
        story_id=10**15 + number, author_id=author.user_id, photo=_photo(f"{number:040x}", widths=(1080, 640))
    )
    story.create_time.FromDatetime(START)
    story.expire_time.FromDatetime(START + timedelta(hours=24))
    return StoryReel(author=author, has_unseen=bool(number % 3), stories=[story])


def _photo(digest: str, *, widths: tuple[int, ...]) -> Photo:
    shapes = [*((width, False) for width in widths), (150, True)]
    return Photo(
        base_url=f"https://photos.example/heliograph-photos/{digest[:2]}/{digest}/",
        variants=[
            PhotoVariant(
                url=f"{'square-' if square else ''}{width}.{suffix}",
                width=width,
                height=width if square else width * 3 // 4,
                format=form,
                size_bytes=width * 100,
                is_square=square,
            )
            for width, square in shapes
            for form, suffix in ((IMAGE_FORMAT_WEBP, "webp"), (IMAGE_FORMAT_JPEG, "jpg"))
        ],
        blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj",
        width=1080,
        height=810,
    )
