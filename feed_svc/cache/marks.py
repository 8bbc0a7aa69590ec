"""The first element of a list `home:{<user>}`: what the list is. The forms stand in lua/timelines.lua."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from feed_svc.domain import PostId, UserId


@dataclass(frozen=True, slots=True)
class TimelineMark:
    """A finished timeline."""

    floor: PostId
    """From this post on down it knows nothing; `COMPLETE` when it holds everything."""
    generation: int
    """The state of the owner's own doing that it reflects."""
    built_ms: int
    pulled_ms: int
    """As of when `pulled` is known."""
    pulled: frozenset[UserId]
    """Followed authors whose posts are pulled."""

    def __str__(self) -> str:
        return f"timeline {self.floor} {self.generation} {self.built_ms} {self.pulled_ms} {joined(self.pulled)}"


@dataclass(frozen=True, slots=True)
class PageMark:
    """No timeline, but a first page that was pulled."""

    generation: int
    post_ids: Sequence[PostId]

    def __str__(self) -> str:
        return f"page {self.generation} {joined(self.post_ids)}"


def read_mark(mark: bytes | None) -> TimelineMark | PageMark | None:
    """Return what a list is; `None` without one, and while its timeline is being built or its page pulled."""
    kind, *words = (mark or b"").split(b" ")
    if kind == b"timeline":
        floor, generation, built_ms, pulled_ms, pulled = words
        authors = frozenset(UserId(int(one)) for one in pulled.split(b",") if one)
        return TimelineMark(PostId(int(floor)), int(generation), int(built_ms), int(pulled_ms), authors)
    if kind == b"page" and words:
        return PageMark(int(words[0]), tuple(PostId(int(one)) for one in words[1].split(b",") if one))
    return None


def joined(ids: Collection[int]) -> str:
    """Return ids as marks hold them."""
    return ",".join(map(str, ids))
