"""`heliograph dm verify|dead-letters`: whether conversations are what their log says; never what people wrote."""

from argparse import Namespace
from collections import Counter

from cli.commands import FOUND_TROUBLE, OK, Nouns, noun, verb
from cli.output import as_json, facts, table, when, word
from cli.services import DM, Services
from heliograph.dm.v1.message_admin_service_pb2 import (
    ConversationFinding,
    ConversationFindingKind,
    DeadLetterChange,
    GetDeadLetterRequest,
    GetDeadLetterResponse,
    ListDeadLettersRequest,
    ReplayDeadLettersRequest,
    VerifyConversationsRequest,
    VerifyConversationsResponse,
)
from heliograph.dm.v1.message_admin_service_pb2_grpc import MessageAdminServiceStub

CHECKED = ("conversations_checked", "messages_checked")
WRONG = (
    "lost_count",
    "doubled_count",
    "out_of_order_count",
    "hole_count",
    "wrong_unread_count",
    "wrong_head_count",
)


def add(nouns: Nouns) -> None:
    """Add the noun `dm`."""
    verbs = noun(nouns, "dm", "direct messages")
    parser = verb(verbs, "verify", "compute everything anew from the log and compare; status 3 if it differs", verify)
    parser.add_argument("conversation", nargs="?", default="", help="only this one (default: all)")
    parser = verb(
        verbs, "dead-letters", "log entries that couldn't be persisted; status 3 if there are any", dead_letters
    )
    parser.add_argument("--show", type=int, metavar="ID", help="show this one: what it holds, what is wrong with it")
    parser.add_argument("--replay", type=int, nargs="+", metavar="ID", help="persist these now")
    parser.add_argument("--all", action="store_true", help="list those too that were replayed")


async def verify(services: Services, arguments: Namespace) -> int:
    """Run through all conversations; print the sums and every finding."""
    admin = MessageAdminServiceStub(await services.channel(DM))
    sums: Counter[str] = Counter()
    findings: list[ConversationFinding] = []
    request = VerifyConversationsRequest(conversation_id=arguments.conversation)
    while True:
        reply = await admin.VerifyConversations(request)
        if arguments.json:
            as_json(reply)
        sums.update(_counts(reply))
        findings += reply.findings
        request.page_token = reply.next_page_token
        if not request.page_token:
            break
    if not arguments.json:
        facts({name.removesuffix("_count").replace("_", " "): sums[name] for name in (*CHECKED, *WRONG)})
        _print_findings(findings)
    return FOUND_TROUBLE if any(sums[name] for name in WRONG) else OK


async def dead_letters(services: Services, arguments: Namespace) -> int:
    """List what couldn't be persisted, show one, or try to persist some again."""
    admin = MessageAdminServiceStub(await services.channel(DM))
    if arguments.show is not None:
        shown = await admin.GetDeadLetter(GetDeadLetterRequest(dead_letter_id=arguments.show))
        as_json(shown) if arguments.json else _print_letter(shown)
        return OK
    if arguments.replay:
        replay = await admin.ReplayDeadLetters(ReplayDeadLettersRequest(dead_letter_ids=arguments.replay))
        if arguments.json:
            as_json(replay)
        else:
            rows = [
                [one.dead_letter_id, "yes" if one.is_persisted else "no", one.error or "-"] for one in replay.results
            ]
            table(["id", "persisted", "why not"], rows, empty="none was named")
        return OK if all(one.is_persisted for one in replay.results) else FOUND_TROUBLE
    reply = await admin.ListDeadLetters(ListDeadLettersRequest(page_size=100, include_replayed=arguments.all))
    if arguments.json:
        as_json(reply)
    else:
        table(
            ["id", "partition", "sequence", "bytes", "put aside", "replayed", "why"],
            [
                [
                    one.dead_letter_id,
                    one.partition,
                    one.stream_sequence,
                    one.size_bytes,
                    when(one, "dead_time"),
                    when(one, "replay_time"),
                    one.error,
                ]
                for one in reply.dead_letters
            ],
            empty="There are no dead letters.",
        )
    waiting = [one for one in reply.dead_letters if not one.HasField("replay_time")]
    return FOUND_TROUBLE if waiting else OK


def _counts(reply: VerifyConversationsResponse) -> dict[str, int]:
    return {name: getattr(reply, name) for name in (*CHECKED, *WRONG)}


def _print_letter(shown: GetDeadLetterResponse) -> None:
    letter, entry = shown.dead_letter, shown.entry
    facts(
        {
            "id": letter.dead_letter_id,
            "why": letter.error,
            "put aside": when(letter, "dead_time"),
            "tried": letter.attempt_count,
            "replayed": when(letter, "replay_time"),
            "subject": letter.subject,
            "partition": letter.partition,
            "sequence": letter.stream_sequence,
            "bytes": letter.size_bytes,
        }
    )
    print()
    if not shown.HasField("entry"):
        print("Its bytes are no entry of the log.")
        return
    facts(
        {
            "change": word(DeadLetterChange, entry.change, "DEAD_LETTER_CHANGE_"),
            "entry": entry.entry_id,
            "conversation": entry.conversation_id,
            "actor": entry.actor_id,
            "other": entry.other_id,
            "accepted": when(entry, "accept_time"),
            "message": entry.message_id or "-",
            "characters": entry.content_length,
            "photo": "yes" if entry.has_photo else "no",
            "read up to": entry.up_to_number or "-",
        }
    )


def _print_findings(findings: list[ConversationFinding]) -> None:
    rows = [
        [
            word(ConversationFindingKind, one.kind, "CONVERSATION_FINDING_KIND_").replace("_", " "),
            one.conversation_id or "-",
            one.user_id or "-",
            one.message_id or "-",
            one.expected,
            one.actual,
        ]
        for one in findings
    ]
    print()
    table(
        ["finding", "conversation", "user", "message", "expected", "actual"],
        rows,
        empty="Every conversation is what its log says.",
    )
