"""The other services, seen from here: domain values in and out."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

from heliograph.feed.v1 import graph_service_pb2, graph_service_pb2_grpc
from heliograph.media.v1 import (
    media_admin_service_pb2,
    media_admin_service_pb2_grpc,
    media_service_pb2,
    media_service_pb2_grpc,
    upload_pb2,
)
from mesh.errors import NotFound
from story_svc import wire
from story_svc.domain import Person, Photo, Relation, UserId

EDGES_AT_ONCE = 10_000
USERS_AT_ONCE = 500
PAIRS_AT_ONCE = 1_000
ATTACHMENTS_AT_ONCE = 1_000
MEDIA_AT_ONCE = 100


class Graph:
    """feed_svc: who follows and blocks whom."""

    def __init__(self, stub: graph_service_pb2_grpc.GraphServiceStub) -> None:
        self._stub = stub

    async def followees(self, viewer: UserId) -> list[UserId]:
        """Return everybody whom the viewer follows."""
        found: list[UserId] = []
        token = ""
        while True:
            reply = await self._stub.ListFollowees(
                graph_service_pb2.ListFolloweesRequest(user_id=viewer, page_size=EDGES_AT_ONCE, page_token=token)
            )
            found += map(UserId, reply.user_ids)
            token = reply.next_page_token
            if not token:
                return found

    async def followers(self, author: UserId) -> AsyncIterator[list[UserId]]:
        """Yield everybody who follows an author, a page at a time."""
        token = ""
        while True:
            reply = await self._stub.ListFollowers(
                graph_service_pb2.ListFollowersRequest(user_id=author, page_size=EDGES_AT_ONCE, page_token=token)
            )
            yield [UserId(user_id) for user_id in reply.user_ids]
            token = reply.next_page_token
            if not token:
                return

    async def relations(self, subject: UserId, others: Iterable[UserId]) -> dict[UserId, Relation]:
        """Return how one person stands to others."""
        wanted = list(dict.fromkeys(others))
        found: dict[UserId, Relation] = {}
        for start in range(0, len(wanted), PAIRS_AT_ONCE):
            chunk = wanted[start : start + PAIRS_AT_ONCE]
            reply = await self._stub.CheckRelations(
                graph_service_pb2.CheckRelationsRequest(
                    pairs=[graph_service_pb2.RelationPair(subject_id=subject, object_id=other) for other in chunk]
                )
            )
            found |= {other: wire.relation(relation) for other, relation in zip(chunk, reply.relations, strict=True)}
        return found

    async def people(self, user_ids: Sequence[UserId]) -> dict[UserId, Person]:
        """Return the people that there are for the viewer, by id."""
        found: dict[UserId, Person] = {}
        for start in range(0, len(user_ids), USERS_AT_ONCE):
            chunk = user_ids[start : start + USERS_AT_ONCE]
            reply = await self._stub.BatchGetUsers(graph_service_pb2.BatchGetUsersRequest(user_ids=chunk))
            found |= {UserId(one.user_id): wire.person(one.user) for one in reply.results if one.found}
        return found


class Media:
    """media_svc, on behalf of a viewer."""

    def __init__(self, stub: media_service_pb2_grpc.MediaServiceStub) -> None:
        self._stub = stub

    async def attach_story_photo(self, upload_id: str, *, reference: str) -> Photo:
        """Bind the viewer's READY upload to `reference`, for ever, and return its photo. Safe to repeat.

        Raises what media_svc says: UPLOAD_NOT_FOUND, UPLOAD_NOT_READY, UPLOAD_REJECTED, UPLOAD_KIND_MISMATCH,
        UPLOAD_ALREADY_ATTACHED.
        """
        reply = await self._stub.AttachUpload(
            media_service_pb2.AttachUploadRequest(
                upload_id=upload_id, purpose=upload_pb2.UPLOAD_KIND_STORY, reference=reference
            )
        )
        return wire.photo_of_media(reply.media)

    async def missing(self, upload_ids: Sequence[str]) -> set[str]:
        """Return those of the uploads whose photo isn't there."""
        absent: set[str] = set()
        for start in range(0, len(upload_ids), MEDIA_AT_ONCE):
            chunk = upload_ids[start : start + MEDIA_AT_ONCE]
            reply = await self._stub.BatchGetMedia(media_service_pb2.BatchGetMediaRequest(upload_ids=chunk))
            absent |= {one.upload_id for one in reply.results if not one.found}
        return absent


class MediaCare:
    """media_svc, on behalf of this service itself."""

    def __init__(self, stub: media_admin_service_pb2_grpc.MediaAdminServiceStub) -> None:
        self._stub = stub

    async def purge(self, upload_id: str, *, reason: str) -> None:
        """Have a photo's objects removed before this returns. Safe to repeat; a photo that never was counts as removed.

        Raises `FailedPrecondition` with LEGAL_HOLD while the photo is held there.
        """
        try:
            await self._stub.PurgeMedia(media_admin_service_pb2.PurgeMediaRequest(upload_id=upload_id, reason=reason))
        except NotFound:
            return

    async def set_hold(self, upload_id: str, *, is_held: bool, reason: str) -> None:
        """Keep a photo's objects from being removed by anything, or no longer."""
        await self._stub.SetMediaLegalHold(
            media_admin_service_pb2.SetMediaLegalHoldRequest(upload_id=upload_id, is_held=is_held, reason=reason)
        )

    async def attachments(self, *, before: datetime, limit: int, page_token: str) -> tuple[list[tuple[str, str]], str]:
        """Return (upload, reference) of story photos attached before a moment, and the token of the next page."""
        reply = await self._stub.ListAttachments(
            media_admin_service_pb2.ListAttachmentsRequest(
                kind=upload_pb2.UPLOAD_KIND_STORY,
                attached_before_time=wire.timestamp(before),
                page_size=min(limit, ATTACHMENTS_AT_ONCE),
                page_token=page_token,
            )
        )
        return [(one.upload_id, one.reference) for one in reply.attachments], reply.next_page_token
