"""Stories written straight into the table: as many as a benchmark needs, of any age."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import psycopg
from psycopg.types.json import Jsonb

from mesh.clock import SystemClock, from_ms, to_ms
from mesh.ids import IdMaker
from story_svc import wire
from story_svc.domain import LIFETIME, PURGE_DELAY, StoryId, StoryRecord, StoryState, UserId
from tests.integration.story_svc.fakes import FakeMedia


async def seed(dsn: str, stories: Sequence[tuple[int, datetime]]) -> list[StoryRecord]:
    """Write rows of live stories (author, create time) and return their records."""
    ids = IdMaker(clock=SystemClock(), node=999)
    media = FakeMedia()
    photo = wire.photo_of_media(media.media(media.upload(1)))
    content = Jsonb(asdict(photo))
    records = []
    async with (
        await psycopg.AsyncConnection.connect(dsn) as connection,
        connection.cursor() as cursor,
        cursor.copy(
            "COPY stories (author_id, story_id, request_id, upload_id, photo, state, create_time, expire_time,"
            " purge_due_time, purge_try_time) FROM STDIN"
        ) as copy,
    ):
        for author, moment in stories:
            create = from_ms(to_ms(moment))
            end = create + LIFETIME
            story_id, request_id, upload_id = ids.next_id(), uuid.uuid4().hex, str(uuid.uuid4())
            due = end + PURGE_DELAY
            await copy.write_row((author, story_id, request_id, upload_id, content, 1, create, end, due, due))
            records.append(
                StoryRecord(
                    StoryId(story_id), UserId(author), request_id, upload_id, photo, StoryState.LIVE, create, end,
                    None, due, None, False, "", None,
                )
            )  # fmt: skip
    return records
