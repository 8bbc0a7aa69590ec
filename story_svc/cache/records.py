"""What a story is: its photo, author and times, which never change."""

from collections.abc import Iterable
from dataclasses import asdict

import orjson

from mesh import redis
from mesh.clock import from_us, to_ms, to_us
from story_svc.cache.server import Server
from story_svc.domain import Photo, Story, StoryId, UserId, Variant

RECORDS_IN_PROCESS = 5_000


class Records:
    """Stories by id, in the process and in Redis. They say nothing of whether a story is live."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._held: dict[StoryId, Story] = {}

    async def get(self, story_ids: Iterable[StoryId]) -> dict[StoryId, Story]:
        """Return those stories whose record is at hand, by id."""
        wanted = list(story_ids)
        found = {story_id: self._held[story_id] for story_id in wanted if story_id in self._held}
        absent = [story_id for story_id in wanted if story_id not in found]
        if absent:
            keys = [_key(story_id) for story_id in absent]
            for value in await self._server.either(lambda client: redis.get_many(client, keys)):
                if value is not None:
                    story = _unpack(value)
                    found[story.story_id] = story
                    self._remember(story)
        return found

    async def put(self, stories: Iterable[Story]) -> None:
        """Keep the records of stories until their end."""
        async with self._server.primary.pipeline(transaction=False) as pipeline:
            for story in stories:
                self._remember(story)
                pipeline.set(_key(story.story_id), _pack(story), pxat=to_ms(story.expire_time))
            await pipeline.execute()

    async def drop(self, story_ids: Iterable[StoryId]) -> None:
        """Drop the records of stories that ended."""
        async with self._server.primary.pipeline(transaction=False) as pipeline:
            for story_id in story_ids:
                self._held.pop(story_id, None)
                pipeline.delete(_key(story_id))
            await pipeline.execute()

    def _remember(self, story: Story) -> None:
        if len(self._held) >= RECORDS_IN_PROCESS and story.story_id not in self._held:
            del self._held[next(iter(self._held))]
        self._held[story.story_id] = story


def _key(story_id: StoryId) -> str:
    return f"story:record:{{{story_id}}}"


def _pack(story: Story) -> bytes:
    times = {"create_us": to_us(story.create_time), "expire_us": to_us(story.expire_time)}
    return orjson.dumps(
        {"story_id": story.story_id, "author_id": story.author_id, "photo": asdict(story.photo), **times}
    )


def _unpack(value: bytes) -> Story:
    held = orjson.loads(value)
    variants = tuple(Variant(**variant) for variant in held["photo"]["variants"])
    return Story(
        story_id=StoryId(held["story_id"]),
        author_id=UserId(held["author_id"]),
        photo=Photo(**{**held["photo"], "variants": variants}),
        create_time=from_us(held["create_us"]),
        expire_time=from_us(held["expire_us"]),
    )
