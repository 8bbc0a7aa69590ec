"""heliograph.dm.v1.MessageAdminService."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dm_svc import wire
from dm_svc.domain import rules
from dm_svc.domain.verify import Finding, FindingKind
from dm_svc.usecases.dead_letters import FIRST_ID, GetDeadLetter, ListDeadLetters, ReplayDeadLetters
from dm_svc.usecases.verify_conversations import VerifyConversations
from heliograph.dm.v1 import message_admin_service_pb2 as pb
from heliograph.dm.v1 import message_admin_service_pb2_grpc
from mesh.cursor import CursorSigner

Context = Any
MAX_FINDINGS = 1_000
MAX_REPLAYS = 100
KINDS = {
    FindingKind.LOST: pb.CONVERSATION_FINDING_KIND_LOST,
    FindingKind.DOUBLED: pb.CONVERSATION_FINDING_KIND_DOUBLED,
    FindingKind.OUT_OF_ORDER: pb.CONVERSATION_FINDING_KIND_OUT_OF_ORDER,
    FindingKind.HOLE: pb.CONVERSATION_FINDING_KIND_HOLE,
    FindingKind.WRONG_UNREAD: pb.CONVERSATION_FINDING_KIND_WRONG_UNREAD,
    FindingKind.WRONG_HEAD: pb.CONVERSATION_FINDING_KIND_WRONG_HEAD,
}


@dataclass(frozen=True, slots=True)
class AdminServicer(message_admin_service_pb2_grpc.MessageAdminServiceServicer):
    """Care of the messages, for staff."""

    verify_conversations: VerifyConversations
    list_dead_letters: ListDeadLetters
    get_dead_letter: GetDeadLetter
    replay_dead_letters: ReplayDeadLetters
    cursors: CursorSigner

    async def VerifyConversations(
        self, request: pb.VerifyConversationsRequest, context: Context
    ) -> pb.VerifyConversationsResponse:
        """Compare what is served with the log."""
        scope = f"verify:{request.conversation_id}"
        after = str(self.cursors.decode(scope, request.page_token, (str,))[0]) if request.page_token else ""
        found = await self.verify_conversations(only=request.conversation_id, after=after, page_size=request.page_size)
        return pb.VerifyConversationsResponse(
            conversations_checked=found.conversations_checked,
            messages_checked=found.messages_checked,
            lost_count=_count(found.findings, FindingKind.LOST),
            doubled_count=_count(found.findings, FindingKind.DOUBLED),
            out_of_order_count=_count(found.findings, FindingKind.OUT_OF_ORDER),
            hole_count=_count(found.findings, FindingKind.HOLE),
            wrong_unread_count=_count(found.findings, FindingKind.WRONG_UNREAD),
            wrong_head_count=_count(found.findings, FindingKind.WRONG_HEAD),
            findings=[_finding(one) for one in found.findings[:MAX_FINDINGS]],
            next_page_token=self.cursors.encode(scope, found.next_after) if found.next_after else "",
        )

    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, context: Context) -> pb.ListDeadLettersResponse:
        """List log entries that could not be persisted."""
        scope = "dead_letters"
        before = self.cursors.decode_ints(scope, request.page_token, 1)[0] if request.page_token else FIRST_ID
        page = await self.list_dead_letters(
            before=before, page_size=request.page_size, include_replayed=request.include_replayed
        )
        return pb.ListDeadLettersResponse(
            dead_letters=[wire.dead_letter(one) for one in page.dead_letters],
            next_page_token=self.cursors.encode(scope, page.dead_letters[-1].dead_letter_id) if page.has_more else "",
        )

    async def GetDeadLetter(self, request: pb.GetDeadLetterRequest, context: Context) -> pb.GetDeadLetterResponse:
        """Show a dead letter."""
        dead, entry = await self.get_dead_letter(request.dead_letter_id)
        return pb.GetDeadLetterResponse(
            dead_letter=wire.dead_letter(dead), entry=None if entry is None else wire.dead_letter_entry(entry)
        )

    async def ReplayDeadLetters(
        self, request: pb.ReplayDeadLettersRequest, context: Context
    ) -> pb.ReplayDeadLettersResponse:
        """Persist dead letters."""
        asked = rules.checked_batch(request.dead_letter_ids, limit=MAX_REPLAYS)
        outcomes = await self.replay_dead_letters(asked)
        return pb.ReplayDeadLettersResponse(
            results=[
                pb.DeadLetterReplay(dead_letter_id=one, is_persisted=not outcomes[one], error=outcomes[one])
                for one in asked
            ]
        )


def _count(findings: Iterable[Finding], kind: FindingKind) -> int:
    return sum(finding.kind is kind for finding in findings)


def _finding(finding: Finding) -> pb.ConversationFinding:
    return pb.ConversationFinding(
        kind=KINDS[finding.kind],
        conversation_id=finding.conversation_id,
        user_id=finding.user_id,
        message_id=finding.message_id,
        expected=finding.expected,
        actual=finding.actual,
    )
