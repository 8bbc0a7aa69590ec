"""Make a person known, or bring their names up to date."""

from dataclasses import dataclass

from feed_svc import events
from feed_svc.domain import User, UserId, checked_display_name, checked_username
from feed_svc.errors import UserIdInvalid
from feed_svc.store import Store
from feed_svc.usecases.update_profile import RefreshProfile
from mesh import outbox
from mesh.clock import Clock
from mesh.ids import IdMaker
from mesh.outbox import Wakeup


@dataclass(frozen=True, slots=True)
class UpsertUser:
    """Told by the system that owns accounts. Safe to repeat: with the same names nothing changes."""

    store: Store
    ids: IdMaker
    refresh: RefreshProfile
    wakeup: Wakeup
    clock: Clock

    async def __call__(self, user_id: UserId | None, username: str, display_name: str) -> tuple[User, bool]:
        """Return the person and whether they are new.

        Without an id, the person who bears the name is meant, or a new one. An empty display name keeps the old one,
        and is the username for a new person.
        """
        name = checked_username(username)
        if user_id is None:
            user_id = await self.store.user_id_by_username(name) or UserId(self.ids.next_id())
        if user_id < 1:
            raise UserIdInvalid(field="user_id")
        async with self.store.transaction() as connection:
            known = await self.store.lock_user(connection, user_id)
            shown = checked_display_name(display_name or (known.display_name if known else name))
            changed = known is None or (known.username, known.display_name) != (name, shown)
            if changed:
                await self.store.upsert_user(connection, user_id, name, shown)
                await outbox.add(connection, events.user_changed(user_id, self.clock.now()))
        if changed:
            await self.wakeup.hint()
            await self.refresh(user_id)
        return await self.store.get_user(user_id), known is None
