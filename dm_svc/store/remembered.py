"""Conversations as this process itself last wrote them, so that a batch need not ask for what its owner knows.

Nobody but its owner writes a conversation, so what was committed under a fence holds for as long as the fence does:
every commit proves that (`advance_positions`). What a failed batch has touched is forgotten.
"""

from collections.abc import Iterable, Mapping

from dm_svc.domain.fold import Thread
from dm_svc.domain.values import ConversationId

REMEMBERED = 20_000
"""Conversations, the latest ones: about 1 KiB each."""


class Remembered:
    """What a process knows of the conversations of its partitions."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._threads: dict[ConversationId, tuple[int, Thread]] = {}
        """With the fence under which they were written, oldest first."""

    def take(self, fences: Mapping[ConversationId, int]) -> dict[ConversationId, Thread]:
        """Return what is known of conversations under the fences of today, and forget it until it is kept again."""
        found: dict[ConversationId, Thread] = {}
        for conversation_id, fence in fences.items():
            known = self._threads.pop(conversation_id, None)
            if known is not None and known[0] == fence:
                found[conversation_id] = known[1]
        return found

    def keep(self, fences: Mapping[ConversationId, int], threads: Iterable[Thread]) -> None:
        """Remember conversations as they were just committed."""
        for thread in threads:
            self._threads[thread.conversation_id] = (fences[thread.conversation_id], thread)
        while len(self._threads) > self._most:
            del self._threads[next(iter(self._threads))]
