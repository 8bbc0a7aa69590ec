"""Recompute order, numbers, unread counts and inbox heads, and report where they differ from what is served."""

from dataclasses import dataclass

from dm_svc.domain import rules
from dm_svc.domain.verify import Finding, check_conversation, check_inbox
from dm_svc.events import Log
from dm_svc.store.care import CareStore

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class Verification:
    """What one page found."""

    conversations_checked: int
    messages_checked: int
    findings: tuple[Finding, ...]
    next_after: str
    """Conversation behind which the next page begins; empty at the end."""


@dataclass(frozen=True, slots=True)
class VerifyConversations:
    """Compares the tables, as of one moment, with the log up to where the tables stand. Changes nothing."""

    store: CareStore
    log: Log

    async def __call__(self, *, only: str, after: str, page_size: int) -> Verification:
        """Check a page of conversations, or just one."""
        size = rules.checked_page_size(page_size, default=DEFAULT_PAGE_SIZE, limit=MAX_PAGE_SIZE)
        snapshot = await self.store.snapshot(after=after, only=only, limit=size)
        findings: list[Finding] = []
        for thread in snapshot.threads:
            partition = self.log.partition_of(thread.conversation_id)
            findings += check_conversation(
                thread,
                snapshot.messages[thread.conversation_id],
                snapshot.members[thread.conversation_id],
                await self.log.read(thread.conversation_id, up_to=snapshot.positions[partition]),
                snapshot.dead[partition],
            )
        for inbox in snapshot.inboxes:
            findings += check_inbox(inbox)
        return Verification(
            conversations_checked=len(snapshot.threads),
            messages_checked=sum(map(len, snapshot.messages.values())),
            findings=tuple(findings),
            next_after=snapshot.threads[-1].conversation_id if len(snapshot.threads) == size and not only else "",
        )
