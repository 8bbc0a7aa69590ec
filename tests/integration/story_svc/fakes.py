"""feed_svc and media_svc as story_svc sees them, answered from memory."""

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from heliograph.feed.v1 import graph_service_pb2, relation_pb2, user_pb2
from heliograph.media.v1 import media_admin_service_pb2, media_pb2, media_service_pb2
from mesh import auth
from mesh.errors import FailedPrecondition, NotFound, Unavailable

BUCKET = "heliograph-private"
VARIANTS = tuple((f"{width}.{kind}", width, kind) for width in (1080, 640, 320) for kind in ("webp", "jpg"))


class Refusal(FailedPrecondition):
    """What a faked service refuses with."""


@dataclass(slots=True)
class FakeGraph:
    """GraphService over a few dictionaries; `is_away` makes it unreachable."""

    followees: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    followers: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    blocks: set[tuple[int, int]] = field(default_factory=set)
    is_away: bool = False
    calls: int = 0

    def follow(self, follower: int, *followees: int) -> None:
        self.followees[follower].update(followees)
        for followee in followees:
            self.followers[followee].add(follower)

    def block(self, blocker: int, blocked: int) -> None:
        self.blocks.add((blocker, blocked))
        for one, other in ((blocker, blocked), (blocked, blocker)):
            self.followees[one].discard(other)
            self.followers[other].discard(one)

    def _answer(self) -> None:
        self.calls += 1
        if self.is_away:
            raise Unavailable

    async def ListFollowees(self, request: Any) -> Any:
        self._answer()
        found = sorted(self.followees[request.user_id])
        return graph_service_pb2.ListFolloweesResponse(user_ids=found)

    async def ListFollowers(self, request: Any) -> Any:
        self._answer()
        found = sorted(self.followers[request.user_id])
        return graph_service_pb2.ListFollowersResponse(user_ids=found)

    async def CheckRelations(self, request: Any) -> Any:
        self._answer()
        pairs = [(pair.subject_id, pair.object_id) for pair in request.pairs]
        return graph_service_pb2.CheckRelationsResponse(
            relations=[
                relation_pb2.Relation(
                    subject_id=one,
                    object_id=other,
                    object_exists=other < 1_000_000,
                    follows=other in self.followees[one],
                    is_followed_by=one in self.followees[other],
                    blocks=(one, other) in self.blocks,
                    is_blocked_by=(other, one) in self.blocks,
                )
                for one, other in pairs
            ]
        )

    async def BatchGetUsers(self, request: Any) -> Any:
        self._answer()
        return graph_service_pb2.BatchGetUsersResponse(
            results=[
                graph_service_pb2.UserLookup(
                    user_id=user_id, found=True, user=user_pb2.User(user_id=user_id, username=f"user{user_id}")
                )
                for user_id in request.user_ids
            ]
        )


@dataclass(slots=True)
class FakeMedia:
    """MediaService and MediaAdminService over a dictionary of uploads."""

    owners: dict[str, int] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    purged: dict[str, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    fails_to_purge: set[str] = field(default_factory=set)
    not_ready: set[str] = field(default_factory=set)

    def upload(self, owner: int) -> str:
        upload_id = str(uuid.uuid4())
        self.owners[upload_id] = owner
        return upload_id

    def media(self, upload_id: str) -> Any:
        return media_pb2.Media(
            upload_id=upload_id,
            owner_id=self.owners[upload_id],
            bucket=BUCKET,
            key_prefix=f"{upload_id}/",
            variants=[
                media_pb2.PhotoVariant(
                    url=name,
                    width=width,
                    height=width,
                    format=media_pb2.IMAGE_FORMAT_WEBP if kind == "webp" else media_pb2.IMAGE_FORMAT_JPEG,
                    size_bytes=1000,
                )
                for name, width, kind in VARIANTS
            ],
            blurhash="LEHV6nWB2yk8pyo0adR*.7kCMdnj",
            dominant_colour="#336699",
            width=1080,
            height=1080,
        )

    async def AttachUpload(self, request: Any) -> Any:
        viewer = auth.viewer_id()
        if self.owners.get(request.upload_id) != viewer:
            raise NotFound.received(reason="UPLOAD_NOT_FOUND", message="no such upload", metadata={})
        if request.upload_id in self.not_ready:
            raise Refusal.received(reason="UPLOAD_NOT_READY", message="not ready", metadata={})
        if self.references.setdefault(request.upload_id, request.reference) != request.reference:
            raise Refusal.received(reason="UPLOAD_ALREADY_ATTACHED", message="taken", metadata={})
        return media_service_pb2.AttachUploadResponse(media=self.media(request.upload_id))

    async def BatchGetMedia(self, request: Any) -> Any:
        return media_service_pb2.BatchGetMediaResponse(
            results=[
                media_service_pb2.MediaLookup(
                    upload_id=upload_id, found=upload_id in self.owners and upload_id not in self.purged
                )
                for upload_id in request.upload_ids
            ]
        )

    async def PurgeMedia(self, request: Any) -> Any:
        if request.upload_id in self.held:
            raise Refusal.received(reason="LEGAL_HOLD", message="held", metadata={})
        if request.upload_id in self.fails_to_purge:
            raise Unavailable
        if request.upload_id not in self.owners:
            raise NotFound.received(reason="UPLOAD_NOT_FOUND", message="no such upload", metadata={})
        self.purged.setdefault(request.upload_id, request.reason)
        return media_admin_service_pb2.PurgeMediaResponse(objects_removed=len(VARIANTS))

    async def SetMediaLegalHold(self, request: Any) -> Any:
        (self.held.add if request.is_held else self.held.discard)(request.upload_id)
        return media_admin_service_pb2.SetMediaLegalHoldResponse(is_held=request.is_held)

    async def ListAttachments(self, request: Any) -> Any:
        found = [
            media_admin_service_pb2.Attachment(
                upload_id=upload_id, owner_id=self.owners[upload_id], reference=self.references[upload_id]
            )
            for upload_id in sorted(self.references)
            if upload_id not in self.purged
        ]
        start = int(request.page_token or 0)
        following = start + request.page_size
        return media_admin_service_pb2.ListAttachmentsResponse(
            attachments=found[start:following], next_page_token=str(following) if following < len(found) else ""
        )
