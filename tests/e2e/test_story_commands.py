"""What staff do with stories (`heliograph story ...`), and what open apps hear of it."""

from uuid import uuid4

import psycopg

from devstack.demo import upload
from devstack.demo.cast import Cast, CommandLine
from devstack.demo.chapters.stories import NODE, OF_PERSON, PUBLISH, TRAY
from devstack.demo.photos import choose
from devstack.stack import Stack
from gateway import ids
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


async def _end_it_now(system: Stack, story_id: str) -> None:
    """Publish it a day earlier, as far as the record says."""
    async with await psycopg.AsyncConnection.connect(system.postgres.dsn("story_svc"), autocommit=True) as connection:
        await connection.execute(
            "UPDATE stories SET create_time = create_time - interval '1 day', "
            "expire_time = expire_time - interval '1 day' WHERE story_id = %s",
            (int(story_id),),
        )
