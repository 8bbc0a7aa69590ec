"""Delete who saw what, once the story is over."""

from dataclasses import dataclass

from story_svc.store import Store

BATCH = 2_000


@dataclass(frozen=True, slots=True)
class ForgetViews:
    """Sightings live no longer than their story; nothing reads them after its end, this only frees the space."""

    store: Store

    async def __call__(self) -> None:
        """Delete all sightings of stories that ended, a batch a statement."""
        while await self.store.forget_views(limit=BATCH) >= BATCH:
            pass
