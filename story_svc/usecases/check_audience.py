"""Say whose stories a viewer may see."""

from collections.abc import Collection
from dataclasses import dataclass

from mesh.errors import DeadlineExceeded, Unavailable
from story_svc.domain import Relation, UserId, may_see
from story_svc.peers import Graph
from story_svc.usecases.find_followees import FindFollowees


@dataclass(frozen=True, slots=True)
class CheckAudience:
    """Asked of feed_svc each time, so that a block or an unfollow counts at once; while it is away, the last known
    followees decide.
    """

    graph: Graph
    find_followees: FindFollowees

    async def relations(self, viewer: UserId, authors: Collection[UserId]) -> dict[UserId, Relation]:
        """Return how the viewer stands to each of the authors other than themselves."""
        others = [author for author in authors if author != viewer]
        if not others:
            return {}
        try:
            return await self.graph.relations(viewer, others)
        except (Unavailable, DeadlineExceeded):
            known = (await self.find_followees.last_known(viewer)).user_ids
            return {author: Relation(exists=True, follows=author in known, is_hidden=False) for author in others}

    async def __call__(self, viewer: UserId, authors: Collection[UserId]) -> frozenset[UserId]:
        """Return those of the authors whose stories the viewer may see."""
        relations = await self.relations(viewer, authors)
        return frozenset(author for author in authors if may_see(viewer, author, relations.get(author)))
