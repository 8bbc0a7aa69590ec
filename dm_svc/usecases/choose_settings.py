"""A person's choices about messages."""

from dataclasses import dataclass

from dm_svc.domain.values import Audience, UserId
from dm_svc.store.reads import ReadStore


@dataclass(frozen=True, slots=True)
class GetSettings:
    """The choices."""

    store: ReadStore

    async def __call__(self, viewer: UserId) -> Audience:
        """Return who may write to the viewer."""
        return await self.store.get_audience(viewer)


@dataclass(frozen=True, slots=True)
class UpdateSettings:
    """New choices; they count from the next message on."""

    store: ReadStore

    async def __call__(self, viewer: UserId, audience: Audience) -> Audience:
        """Write and return who may write to the viewer."""
        await self.store.set_audience(viewer, audience)
        return audience
