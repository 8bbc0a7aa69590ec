"""Chapter four: Ben and Cleo talk."""

from typing import Any
from uuid import uuid4

from devstack.demo.api import Person, refusal
from devstack.demo.cast import Cast
from devstack.demo.narrator import Narrator, until
from devstack.demo.photos import Photograph

INBOX = """
subscription ($after: String) {
  inbox(after: $after) {
    __typename
    ... on MessageReceived { cursor message { id conversationId content number sender { username } } }
    ... on ConversationRead { cursor upToNumber reader { username } }
    ... on InboxCaughtUp { cursor }
  }
}
"""
SEND = """
mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) { message { id conversationId content sender { username } } }
}
"""
HISTORY = """
query ($who: ID!) {
  conversation(withUserId: $who) { id unreadCount messages(last: 20) { edges { node { id content number isRead } } } }
}
"""
BY_ID = "query ($id: ID!) { conversation(id: $id) { id } }"
READ = """
mutation ($id: ID!, $number: Int!) {
  markConversationRead(input: {conversationId: $id, upToNumber: $number}) { conversation { unreadCount } }
}
"""
DELIVERED_SECONDS = 5.0
QUIET_SECONDS = 0.5


async def messages(cast: Cast, _photographs: list[Photograph], tell: Narrator) -> None:
    """Messages arrive in order, once, also after a broken connection; nobody else sees a byte."""
    tell.chapter("Messages")
    async with cast.cleo.listen(INBOX, after=None) as inbox:
        with tell.step("Cleo opens her inbox over a WebSocket.") as step:
            caught_up = await _of_kind(inbox, "InboxCaughtUp")
            step.check(caught_up["cursor"], "she is told where she stands")
        conversation_id, cursor = await _first_words(cast, inbox, tell)
    with tell.step("Cleo's phone loses its connection; Ben writes three more.") as step:
        sent = [await send(cast.ben, cast.cleo, content) for content in ("two", "three", "four")]
    async with cast.cleo.listen(INBOX, after=cursor) as inbox:
        with tell.step("She is back, and goes on where she was: three messages, in order, none twice.") as step:
            events = await _messages_and_caught_up(inbox, count=len(sent))
            step.done()
            step.equal([one["message"]["id"] for one in events], [one["id"] for one in sent], "the three, in order")
            step.equal([one["message"]["number"] for one in events], [2, 3, 4], "their numbers have no hole")
            step.check(await inbox.none(within=QUIET_SECONDS), "nothing comes twice")
    await _reading(cast, conversation_id, tell)
    with tell.step("To Dan there is no such conversation.") as step:
        asked = cast.dan.ask(BY_ID, id=conversation_id)
        step.equal(await refusal(asked), "CONVERSATION_NOT_FOUND", "the code is that of an id that nobody has")


async def send(sender: Person, recipient: Person, content: str, *, key: str | None = None) -> dict[str, Any]:
    """Send a message; returns it."""
    given = {"recipientId": recipient.user_id, "content": content, "clientMessageId": key or str(uuid4())}
    message: dict[str, Any] = (await sender.ask(SEND, input=given))["sendMessage"]["message"]
    return message


async def history(viewer: Person, other: Person) -> dict[str, Any]:
    """Somebody's conversation with another person."""
    conversation: dict[str, Any] = (await viewer.ask(HISTORY, who=other.user_id))["conversation"]
    return conversation


async def _first_words(cast: Cast, inbox: Any, tell: Narrator) -> tuple[str, str]:
    key = str(uuid4())
    with tell.step("Ben writes to Cleo, and it is on her screen.") as step:
        message = await send(cast.ben, cast.cleo, "one", key=key)
        event = await _of_kind(inbox, "MessageReceived")
        step.done()
        step.equal(event["message"]["id"], message["id"], "it is the same message")
        step.equal(event["message"]["content"], "one", "with the same words")
        step.equal(event["message"]["sender"]["username"], cast.ben.username, "from Ben")
    with tell.step("Ben's app lost the answer and sends again with the same key: one message.") as step:
        again = await send(cast.ben, cast.cleo, "one", key=key)
        step.equal(again["id"], message["id"], "the second answer is the first message")
        step.check(await inbox.none(within=QUIET_SECONDS), "Cleo gets nothing twice")
        step.equal(len((await history(cast.ben, cast.cleo))["messages"]["edges"]), 1, "the history has one message")
    return message["conversationId"], event["cursor"]


async def _reading(cast: Cast, conversation_id: str, tell: Narrator) -> None:
    with tell.step("The history has all four; Cleo has four to read.") as step:
        conversation = await history(cast.cleo, cast.ben)
        step.done()
        contents = [edge["node"]["content"] for edge in conversation["messages"]["edges"]]
        step.equal(contents, ["one", "two", "three", "four"], "all messages, in order")
        step.equal(conversation["unreadCount"], 4, "four are unread")
    async with cast.ben.listen(INBOX, after=None) as inbox:
        await _of_kind(inbox, "InboxCaughtUp")
        with tell.step("Cleo has read them, and Ben's app learns of it.") as step:
            read = (await cast.cleo.ask(READ, id=conversation_id, number=4))["markConversationRead"]["conversation"]
            event = await _of_kind(inbox, "ConversationRead")
            step.done()
            step.equal(read["unreadCount"], 0, "none is unread")
            step.equal(event["upToNumber"], 4, "up to the fourth")
    with tell.step("Ben sees that each of his messages was read.") as step:
        conversation = await until(
            lambda: history(cast.ben, cast.cleo),
            lambda one: all(edge["node"]["isRead"] for edge in one["messages"]["edges"]),
            within=DELIVERED_SECONDS,
            what="every message is read",
        )
        step.equal(len(conversation["messages"]["edges"]), 4, "all four")


async def _messages_and_caught_up(inbox: Any, *, count: int) -> list[dict[str, Any]]:
    """The next messages, and "caught up", which may come before the last of them: what is fresh comes live."""
    received: list[dict[str, Any]] = []
    is_caught_up = False
    while len(received) < count or not is_caught_up:
        event: dict[str, Any] = (await inbox.next(within=DELIVERED_SECONDS))["inbox"]
        if event["__typename"] == "MessageReceived":
            received.append(event)
        is_caught_up = is_caught_up or event["__typename"] == "InboxCaughtUp"
    return received


async def _of_kind(inbox: Any, kind: str) -> dict[str, Any]:
    """The next event of a kind; others before it are passed over."""
    while True:
        event: dict[str, Any] = (await inbox.next(within=DELIVERED_SECONDS))["inbox"]
        if event["__typename"] == kind:
            return event
