"""Reads on every path, and which of them saw a story that is over, or missed one that is live."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from story_svc.errors import StoryNotFound
from tests.integration.story_svc.world import World, ids


@dataclass(slots=True)
class Sightings:
    """What many reads saw."""

    reads: int = 0
    addresses: int = 0
    """Of photos, by their own words; one that ends after its story is late too."""
    late: int = 0
    early: int = 0

    def note(self, *, seen: bool, live: bool) -> None:
        self.reads += 1
        self.late += seen and not live
        self.early += live and not seen


async def look_everywhere(
    world: World, sightings: Sightings, story_id: int, *, author: int, viewer: int, live: bool, end: datetime
) -> None:
    """Ask for one story on every path: tray (viewer's and author's), list, by id, viewers, seen, and its addresses."""

    def note(seen: bool) -> None:
        sightings.note(seen=seen, live=live)

    for person in (viewer, author):
        note(story_id in await world.tray_ids(person))
        note(story_id in ids((await world.list_stories(person, author)).stories))
        found = (await world.get(person, story_id))[0]
        note(found is not None)
        if found is not None:
            for variant in found.photo.variants:
                sightings.addresses += 1
                sightings.late += bool(variant.url) and ends_at(variant.url) > end
    note(await _works(world.list_viewers(author, story_id)))
    note(await _works(world.mark_seen(viewer, story_id)))


async def _works(call) -> bool:
    try:
        await call
    except StoryNotFound:
        return False
    return True


def ends_at(url: str) -> datetime:
    """When a presigned address ends, by its own words."""
    query = parse_qs(urlsplit(url).query)
    signed_at = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return signed_at + timedelta(seconds=int(query["X-Amz-Expires"][0]))
