"""feed_svc's GraphService: who stands how to whom."""

from collections.abc import Sequence

from dm_svc.domain.values import Relation, UserId
from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc


class Graph:
    """feed_svc's GraphService."""

    def __init__(self, stub: "graph_service_pb2_grpc.GraphServiceStub") -> None:
        self._stub = stub

    async def relations(self, pairs: Sequence[tuple[UserId, UserId]]) -> dict[tuple[UserId, UserId], Relation]:
        """Return how senders stand to recipients; at most 1,000 pairs."""
        reply = await self._stub.CheckRelations(
            graph_service_pb2.CheckRelationsRequest(
                pairs=[graph_service_pb2.RelationPair(subject_id=one, object_id=two) for one, two in pairs]
            )
        )
        return {
            pair: Relation(
                recipient_exists=relation.object_exists,
                recipient_follows_sender=relation.is_followed_by,
                is_blocked=relation.blocks or relation.is_blocked_by,
            )
            for pair, relation in zip(pairs, reply.relations, strict=True)
        }
