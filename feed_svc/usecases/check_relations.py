"""How pairs of people stand to one another."""

from collections.abc import Sequence
from dataclasses import dataclass

from feed_svc.domain import Relation, UserId, as_shown_to_subject
from feed_svc.store import Store
from mesh.errors import PermissionDenied


@dataclass(frozen=True, slots=True)
class CheckRelations:
    """Follows and blocks between pairs. Services see everything; a person only how they stand themselves."""

    store: Store

    async def __call__(
        self, pairs: Sequence[tuple[UserId, UserId]], *, asked_by_person: UserId | None
    ) -> list[Relation]:
        """Return one relation a pair, in the same order.

        `PermissionDenied` when a person asks how somebody else stands; they never learn who has blocked them.
        """
        if asked_by_person is not None and any(subject != asked_by_person for subject, _ in pairs):
            raise PermissionDenied
        relations = await self.store.relations_of_pairs(pairs)
        return relations if asked_by_person is None else [as_shown_to_subject(relation) for relation in relations]
