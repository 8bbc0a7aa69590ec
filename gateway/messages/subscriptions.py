"""The inbox subscription."""

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

from gateway.context import Info
from gateway.messages import inbox
from gateway.messages.events import InboxEvent, place_of, shown


@strawberry.type
class MessageSubscriptions:
    """Fields of `Subscription` about messages."""

    @strawberry.subscription(
        description="All that happens in the viewer's conversations, in order, each event once. Resume with the cursor "
        "of the last event; without one it begins now."
    )
    async def inbox(
        self,
        info: Info,
        after: Annotated[str | None, strawberry.argument(description="Cursor of the last event that was seen.")] = None,
    ) -> AsyncGenerator[InboxEvent, None]:
        """Yield the viewer's inbox."""
        context = info.context
        push = context.push

        def at_once(event: inbox.Arrived) -> bool:
            return push is not None and push(event.entry.useq, lambda: shown(event, context))

        place = None if after is None else place_of(after, context)
        async with inbox.opened(
            hub=context.services.hub,
            clients=context.clients,
            user_id=context.viewer_id,
            after=place,
            invalid=after is not None and place is None,
            at_once=None if push is None else at_once,
        ) as reader:
            async for event in reader.events():
                if (one := shown(event, context)) is not None:
                    yield one
