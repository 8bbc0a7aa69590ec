"""Make a person known, or bring their names up to date."""

from dataclasses import dataclass

from feed_svc import events
from feed_svc.domain import User, UserId, checked_display_name, checked_username
from feed_svc.store import Store
from mesh import outbox
from mesh.ids import IdMaker
from mesh.outbox import Wakeup


@dataclass(frozen=True, slots=True)
class UpsertUser:
    """Told by the system that owns accounts. Safe to repeat."""

    store: Store
    ids: IdMaker
    wakeup: Wakeup

    async def __call__(self, user_id: UserId | None, username: str, display_name: str) -> tuple[User, bool]:
        """Return the person and whether they are new.

        Without an id, the person who bears the name is meant, or a new one. An empty display name keeps the old one,
        and is the username for a new person.
        """
        name = checked_username(username)
        if user_id is None:
            user_id = await self.store.user_id_by_username(name) or UserId(self.ids.next_id())
        async with self.store.transaction() as connection:
            known = await self.store.lock_user(connection, user_id)
            shown = checked_display_name(display_name or (known.display_name if known else name))
            await self.store.upsert_user(connection, user_id, name, shown)
            await outbox.add(connection, events.user_changed(user_id))
        await self.wakeup.hint()
        return await self.store.get_user(user_id), known is None
