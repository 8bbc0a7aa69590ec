"""M7: every method of the service, called by a stranger and by nobody, shows no byte of a conversation of others.

To a stranger a conversation that is there looks like one that isn't: the same reply, or the same refusal, to the byte.
A method without a row here fails the first test.
"""

import uuid
from dataclasses import dataclass, replace
from typing import Any

import pytest

from dm_svc.domain.rules import partition_of
from dm_svc.domain.values import ConversationId
from dm_svc.store.rows import QUERIES
from heliograph.dm.v1 import inbox_service_pb2, message_service_pb2
from mesh import auth
from mesh.errors import HeliographError
from tests.fixtures.stack import eventually

SECRET = "meet-me-at-the-lighthouse"


@dataclass(frozen=True, slots=True)
class Place:
    """What a method can be asked about: a conversation and a message of it, with one of its members."""

    conversation_id: str
    message_id: str
    member_id: int


ROWS: dict[str, Any] = {
    "SendMessage": None,  # to write to somebody is open to all whom they don't block
    "ListMessages": lambda place: {"conversation_id": place.conversation_id},
    "BatchGetMessages": lambda place: {"message_ids": [place.message_id]},
    "ListConversations": lambda place: {"page_size": 50},
    "BatchGetConversations": lambda place: {"conversation_ids": [place.conversation_id]},
    "GetConversationWithUser": lambda place: {"user_id": place.member_id},
    "MarkRead": lambda place: {"conversation_id": place.conversation_id, "up_to_number": 1},
    "Unsend": lambda place: {"message_id": place.message_id},
    "SetTyping": lambda place: {"conversation_id": place.conversation_id, "is_typing": True},
    "ReportPresence": lambda place: {"is_online": True},
    "AcceptMessageRequest": lambda place: {"conversation_id": place.conversation_id},
    "IgnoreMessageRequest": lambda place: {"conversation_id": place.conversation_id},
    "GetMessageSettings": lambda place: {},
    "UpdateMessageSettings": None,  # one's own choice
    "ReplayInbox": lambda place: {"after_useq": 0},
    "GetInboxHeads": None,  # for gateways: bare numbers of entries, without a person's token
}
"""How each method is asked about a conversation; `None` where it can't be, and why."""

SABOTAGES = {
    "get_messages": ("m.user_id = %(viewer_id)s AND ", ""),
    "list_conversations": ("m.user_id = %(user_id)s AND ", ""),
}
"""The predicate that each query loses."""


def test_M7_every_method_has_a_row():
    services = (
        message_service_pb2.DESCRIPTOR.services_by_name["MessageService"],
        inbox_service_pb2.DESCRIPTOR.services_by_name["InboxService"],
    )
    assert {method.name for service in services for method in service.methods} == ROWS.keys()


async def outcome(person, method, place):
    """What a person is told, as bytes; the ids that they asked with are blanked out."""
    try:
        reply = await person.call(method, **ROWS[method](place))
    except HeliographError as refused:
        return f"{refused.status} {refused.reason} {refused.message} {refused.metadata}".encode()
    told = reply.SerializeToString()
    for known in (place.conversation_id, place.message_id):
        told = told.replace(known.encode(), b"?" * len(known))
    return told


async def leaks(rig):
    """Ask everything about a conversation as a stranger; return what differs from asking about an absent one."""
    ann, ben, eve, absent, absent_too = rig.people(5)
    sent = await ann.send(ben, SECRET)
    await ben.history(ann)
    there = Place(ann.with_(ben), sent.message_id, ann.user_id)
    nowhere = Place(absent.with_(absent_too), str(uuid.uuid4()), absent.user_id)
    found = []
    for method, row in ROWS.items():
        if row is None:
            continue
        told, told_of_nothing = await outcome(eve, method, there), await outcome(eve, method, nowhere)
        if SECRET.encode() in told or told != told_of_nothing:
            found.append(method)
    return found


async def test_M7_a_stranger_is_told_the_same_of_what_is_there_and_of_what_is_absent(rig):
    assert await leaks(rig) == []


@pytest.mark.parametrize("query", SABOTAGES)
async def test_M7_the_matrix_catches_a_predicate_that_is_dropped(rig, monkeypatch, query):
    """The sabotage: a query forgets whose messages it may return."""
    predicate, nothing = SABOTAGES[query]
    assert predicate in QUERIES[query].sql
    monkeypatch.setitem(QUERIES, query, replace(QUERIES[query], sql=QUERIES[query].sql.replace(predicate, nothing)))
    assert await leaks(rig)


async def test_M7_nobody_in_particular_is_told_nothing(rig):
    ann, ben = rig.people(2)
    sent = await ann.send(ben, SECRET)
    place = Place(ann.with_(ben), sent.message_id, ann.user_id)
    for method, row in ROWS.items():
        if method == "GetInboxHeads":
            continue
        stub, service = (
            (ann.messages, message_service_pb2) if hasattr(ann.messages, method) else (ann.inbox, inbox_service_pb2)
        )
        auth.set_viewer(None)
        with pytest.raises(HeliographError) as refused:
            await getattr(stub, method)(getattr(service, f"{method}Request")(**(row(place) if row else {})))
        assert refused.value.reason == "UNAUTHENTICATED", method


async def test_M7_announcements_go_to_the_two_members_alone(rig):
    ann, ben = rig.people(2)
    secret, told = str(uuid.uuid4()), set()

    def hear(notice):
        if secret.encode() in notice.data:
            told.add(notice.subject)

    subscription = await rig.jetstream.hear(">", hear)
    await ann.send(ben, secret)
    announced = {f"dm.inbox.{ann.user_id}", f"dm.inbox.{ben.user_id}"}
    logged = f"dm.log.{partition_of(ConversationId(ann.with_(ben)), 8):02}.{ann.with_(ben)}"
    await eventually(lambda: announced <= told)
    assert {subject for subject in told if not subject.startswith("_INBOX.")} == announced | {logged}
    await subscription.unsubscribe()
