"""What staff do with stories (`heliograph story ...`), and what open apps hear of it."""

import io
from uuid import uuid4

import psycopg
from PIL import Image

from devstack.demo import upload
from devstack.demo.cast import Cast, CommandLine
from devstack.demo.chapters.stories import NODE, OF_PERSON, PUBLISH, TRAY
from devstack.demo.photos import Photograph, choose
from devstack.stack import Stack
from gateway import ids
from mesh.objectstore import PRIVATE
from tests.fixtures.stack import eventually

CAT = next(photo for photo in choose(None) if photo.name == "chelsea")
LIVE = "subscription { live { __typename ... on StoryExpired { storyId } } }"


async def test_S1_a_story_that_ends_leaves_every_path_and_open_screens_and_staff_see_its_record(
    system: Stack, cast: Cast, heliograph: CommandLine
) -> None:
    upload_id, _ = await upload.send(cast.ada, CAT, "STORY")
    given = {"uploadId": upload_id, "idempotencyKey": str(uuid4())}
    story = (await cast.ada.ask(PUBLISH, input=given))["publishStory"]["story"]
    number = str(ids.number("Story", story["id"]))
    await heliograph("story", "hold", number, "--reason", "court order 7")
    checked = await heliograph("story", "reconcile")
    assert checked.endswith("0 don't agree, 0 repaired")
    async with cast.ben.listen(LIVE) as live:
        assert (await cast.ben.ask(TRAY))["storyTray"]
        await _end_it_now(system, number)
        await heliograph("story", "expire", "--catch-up")
        while (heard := (await live.next())["live"])["__typename"] != "StoryExpired":
            pass
    assert heard["storyId"] == story["id"]

    async def is_gone() -> bool:
        tray, listed = await cast.ben.ask(TRAY), await cast.ben.ask(OF_PERSON, who=cast.ada.user_id)
        by_id = await cast.ben.ask(NODE, id=story["id"])
        return not tray["storyTray"] and not listed["stories"] and by_id["node"] is None

    await eventually(is_gone)
    record = await heliograph("story", "show", number)
    assert "EXPIRED" in record.upper()
    assert "court order 7" in record
    await heliograph("story", "release", number, "--reason", "case closed")
    assert "court order 7" not in await heliograph("story", "show", number)


async def test_S3_a_photo_leaves_the_object_store_seven_days_after_its_story_unless_it_is_held(
    system: Stack, cast: Cast, heliograph: CommandLine
) -> None:
    drawn = io.BytesIO()
    Image.effect_noise((400, 300), 80).save(drawn, "PNG")  # one that no other story shows, and so keeps
    upload_id, _ = await upload.send(cast.ada, Photograph("noise", drawn.getvalue(), "image/png"), "STORY")
    given = {"uploadId": upload_id, "idempotencyKey": str(uuid4())}
    story = (await cast.ada.ask(PUBLISH, input=given))["publishStory"]["story"]
    number = str(ids.number("Story", story["id"]))
    await heliograph("story", "hold", number, "--reason", "court order 7")
    await _end_it_now(system, number)
    await heliograph("story", "expire", "--catch-up")
    await _let_seven_days_pass(system, number)
    await heliograph("story", "expire", "--catch-up")
    assert await _objects(system, number)
    await heliograph("story", "release", number, "--reason", "case closed")
    await heliograph("story", "expire", "--catch-up")

    async def is_purged() -> bool:  # by the command, or by the worker's loop beside it
        return "PURGED" in (await heliograph("story", "show", number)).upper()

    await eventually(is_purged)
    assert await _objects(system, number) == []
    assert (await heliograph("story", "reconcile")).endswith("0 don't agree, 0 repaired")


async def _end_it_now(system: Stack, story_id: str) -> None:
    """Publish it a day earlier, as far as the record says."""
    async with await psycopg.AsyncConnection.connect(system.postgres.dsn("story_svc"), autocommit=True) as connection:
        await connection.execute(
            "UPDATE stories SET create_time = create_time - interval '1 day', "
            "expire_time = expire_time - interval '1 day' WHERE story_id = %s",
            (int(story_id),),
        )


async def _let_seven_days_pass(system: Stack, story_id: str) -> None:
    async with await psycopg.AsyncConnection.connect(system.postgres.dsn("story_svc"), autocommit=True) as connection:
        await connection.execute(
            "UPDATE stories SET purge_due_time = purge_due_time - interval '7 days', "
            "purge_try_time = purge_try_time - interval '8 days' WHERE story_id = %s",
            (int(story_id),),
        )


async def _objects(system: Stack, story_id: str) -> list[str]:
    """Return the keys of what the object store holds of a story's photo."""
    async with await psycopg.AsyncConnection.connect(system.postgres.dsn("story_svc")) as connection:
        rows = await connection.execute(
            "SELECT photo->>'key_prefix' FROM stories WHERE story_id = %s", (int(story_id),)
        )
        found = await rows.fetchone()
    assert found is not None
    return [str(one.object_name) for one in system.s3.client().list_objects(PRIVATE, prefix=found[0], recursive=True)]
