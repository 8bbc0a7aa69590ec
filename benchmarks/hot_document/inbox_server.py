"""`python -m benchmarks.hot_document.inbox_server KEYS`: the gateway with empty inboxes, and announcements on demand.

It prints its port. A line `users events` on its input announces so many events to each of the users 1 to `users`, as if
they had just come from NATS, and is answered by a line when all are told.
"""

import asyncio
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvloop

from benchmarks.hot_document.server import gateway_of
from gateway.live.hub import Hub
from heliograph.dm.v1.inbox_pb2 import InboxEntry
from heliograph.dm.v1.inbox_service_pb2 import GetInboxHeadsResponse, ReplayInboxResponse
from heliograph.dm.v1.message_pb2 import Message
from heliograph.events.v1.message_events_pb2 import InboxEntriesDelivered
from mesh.lifecycle import spare_what_stays

BEFORE_A_PAUSE = 4
"""Announcements that are told in one step of the loop: a socket client of NATS reads a few at a time."""


class EmptyInboxes:
    """dm_svc for people who have got no message yet."""

    async def ReplayInbox(self, _request: Any) -> ReplayInboxResponse:  # noqa: N802
        return ReplayInboxResponse(is_caught_up=True)

    async def GetInboxHeads(self, _request: Any) -> GetInboxHeadsResponse:  # noqa: N802
        return GetInboxHeadsResponse()


def announcement(user_id: int, useq: int) -> Any:
    message = Message(
        message_id=f"10000000-0000-4000-8000-{useq:012}",
        conversation_id="1-2",
        number=useq,
        sender_id=2,
        content="See you at the harbour at six; bring the long lens.",
    )
    message.send_time.FromSeconds(int(time.time()))
    entry = InboxEntry(useq=useq, conversation_id="1-2", message_received=message)
    entry.commit_time.CopyFrom(message.send_time)
    return SimpleNamespace(data=InboxEntriesDelivered(user_id=user_id, entries=[entry]).SerializeToString())


async def main(keys: str) -> None:
    loop = asyncio.get_running_loop()
    unused: Any = SimpleNamespace()
    stubs: Any = SimpleNamespace(inbox=EmptyInboxes(), messages=unused, graph=unused, channels={})
    hub = Hub(stubs)
    told = 0
    async with gateway_of(stubs, hub, Path(keys)).serve("127.0.0.1:0") as port:
        spare_what_stays()
        print(port, flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            users, events = map(int, line.split())
            announced = [
                announcement(user, told + number) for number in range(1, events + 1) for user in range(1, users + 1)
            ]
            told += events
            print("ready", flush=True)
            for number, one in enumerate(announced):
                hub._on_entries(one)
                if number % BEFORE_A_PAUSE == 0:
                    await asyncio.sleep(0)
            print("told", flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
