"""Change one's own profile."""

from dataclasses import dataclass

from feed_svc import events
from feed_svc.cache import Records
from feed_svc.domain import User, UserId, checked_display_name, checked_request_id
from feed_svc.errors import IdempotencyKeyReused, UserNotFound
from feed_svc.peers import Media
from feed_svc.store import ProfileChange, Store
from feed_svc.wire import Wire
from mesh import outbox
from mesh.clock import Clock
from mesh.outbox import Wakeup
from mesh.redis import TROUBLE
from mesh.telemetry import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RefreshProfile:
    """Replaces the copies of a profile that stand beside posts."""

    store: Store
    records: Records
    wire: Wire

    async def __call__(self, user_id: UserId) -> None:
        """Write the profile as it is now; when Redis is away its copy is at most ten minutes behind."""
        self.records.forget_author(user_id)
        summaries = [self.wire.summary(profile) for profile in await self.store.get_profiles([user_id])]
        try:
            await self.records.put([], summaries)
        except TROUBLE as error:
            _log.warning("profile_not_refreshed", error=type(error).__name__)


@dataclass(frozen=True, slots=True)
class UpdateProfile:
    """The change and the request that did it in one transaction; a picture is attached before it, as for posts."""

    store: Store
    media: Media
    refresh: RefreshProfile
    wakeup: Wakeup
    clock: Clock

    async def __call__(
        self, viewer: UserId, *, display_name: str | None, avatar_upload_id: str | None, request_id: str
    ) -> User:
        """Return the profile as it is now. A value of `None` is kept; an empty upload id removes the picture."""
        checked_request_id(request_id)
        shown = checked_display_name(display_name) if display_name is not None else None
        upload = avatar_upload_id.lower() if avatar_upload_id is not None else None
        change = ProfileChange(shown, upload)
        known = await self.store.get_profile_change(viewer, request_id)
        if known is not None:
            return await self._first_outcome(viewer, known, change)
        if viewer not in await self.store.get_users([viewer]):
            raise UserNotFound
        avatar = (
            await self.media.attach(upload, reference=f"avatar:{viewer}:{request_id}", is_avatar=True)
            if upload
            else None
        )
        async with self.store.transaction() as connection:
            await self.store.lock_user(connection, viewer)
            is_new = await self.store.insert_profile_change(connection, viewer, request_id, change)
            if is_new:
                if shown is not None:
                    await self.store.set_display_name(connection, viewer, shown)
                if upload is not None:
                    await self.store.set_avatar(connection, viewer, avatar)
                await outbox.add(connection, events.user_changed(viewer, self.clock.now()))
        if not is_new:
            known = await self.store.get_profile_change(viewer, request_id) or change
            return await self._first_outcome(viewer, known, change)
        await self.wakeup.hint()
        await self.refresh(viewer)
        return await self.store.get_user(viewer)

    async def _first_outcome(self, viewer: UserId, known: ProfileChange, change: ProfileChange) -> User:
        if known != change:
            raise IdempotencyKeyReused
        return await self.store.get_user(viewer)
