"""The other services, seen from here: domain values in and out."""

from collections.abc import Sequence

from dm_svc import wire
from dm_svc.domain.values import Photo, Relation, UserId
from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc
from heliograph.media.v1 import media_service_pb2, media_service_pb2_grpc, upload_pb2


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


class Media:
    """media_svc."""

    def __init__(self, stub: "media_service_pb2_grpc.MediaServiceStub") -> None:
        self._stub = stub

    async def attach_message_photo(self, upload_id: str, *, reference: str) -> Photo:
        """Bind the viewer's READY upload to `reference`, for ever, and return its photo. Safe to repeat.

        Raises what media_svc says: UPLOAD_NOT_FOUND, UPLOAD_NOT_READY, UPLOAD_REJECTED, UPLOAD_KIND_MISMATCH,
        UPLOAD_ALREADY_ATTACHED.
        """
        reply = await self._stub.AttachUpload(
            media_service_pb2.AttachUploadRequest(
                upload_id=upload_id, purpose=upload_pb2.UPLOAD_KIND_MESSAGE, reference=reference
            )
        )
        return wire.photo_of_media(reply.media)

    async def delete_photo(self, upload_id: str, *, reference: str) -> None:
        """Remove a photo whose message was taken back. Safe to repeat."""
        await self._stub.DeleteMedia(media_service_pb2.DeleteMediaRequest(upload_id=upload_id, reference=reference))
