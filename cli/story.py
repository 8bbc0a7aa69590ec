"""`heliograph story reconcile|expire|show|hold|release`: care of the stories."""

from argparse import Namespace
from collections.abc import Iterable

from cli.commands import FOUND_TROUBLE, OK, Nouns, noun, verb
from cli.output import as_json, facts, seconds, table, when, word
from cli.services import STORY, Services
from heliograph.story.v1.story_admin_service_pb2 import (
    CatchUpExpiryRequest,
    GetStoryRecordRequest,
    ReconcileStoriesRequest,
    SetLegalHoldRequest,
    StoryFinding,
    StoryFindingKind,
    StoryRecord,
)
from heliograph.story.v1.story_admin_service_pb2_grpc import StoryAdminServiceStub
from heliograph.story.v1.story_pb2 import StoryState


def add(nouns: Nouns) -> None:
    """Add the noun `story`."""
    verbs = noun(nouns, "story", "stories")
    parser = verb(verbs, "reconcile", "compare rows, cache and photos; status 3 if something is left wrong", reconcile)
    parser.add_argument("--repair", action="store_true", help="mend what may be mended (default: only report)")
    parser = verb(verbs, "expire", "expire and purge what is due, now: up to 1000 stories", expire)
    parser.add_argument("--catch-up", action="store_true", help="go on until nothing is due")
    parser = verb(verbs, "show", "show the record of a story in any state", show)
    parser.add_argument("story_id", type=int, metavar="STORY")
    for name, is_held in (("hold", True), ("release", False)):
        parser = verb(verbs, name, f"{'put a story under' if is_held else 'lift a'} legal hold", hold)
        parser.add_argument("story_id", type=int, metavar="STORY")
        parser.add_argument("--reason", required=True, help="why; kept in the record")
        parser.set_defaults(is_held=is_held)


async def reconcile(services: Services, arguments: Namespace) -> int:
    """Run through all pages; print every finding and the sums."""
    admin = StoryAdminServiceStub(await services.channel(STORY))
    checked = repaired = 0
    findings: list[StoryFinding] = []
    token = ""
    while True:
        reply = await admin.ReconcileStories(ReconcileStoriesRequest(repair=arguments.repair, page_token=token))
        if arguments.json:
            as_json(reply)
        checked += reply.checked_count
        repaired += reply.repaired_count
        findings += reply.findings
        token = reply.next_page_token
        if not token:
            break
    if not arguments.json:
        _print_findings(findings)
        print(f"{checked} checked, {len(findings)} don't agree, {repaired} repaired")
    return OK if all(finding.is_repaired for finding in findings) else FOUND_TROUBLE


async def expire(services: Services, arguments: Namespace) -> int:
    """Move up to 1,000 stories that are due, or with --catch-up all of them; print what was moved."""
    admin = StoryAdminServiceStub(await services.channel(STORY))
    expired = purged = 0
    while True:
        reply = await admin.CatchUpExpiry(CatchUpExpiryRequest())
        if arguments.json:
            as_json(reply)
        moved = reply.expired_count + reply.purged_count
        expired += reply.expired_count
        purged += reply.purged_count
        if not arguments.catch_up or reply.remaining_count == 0 or moved == 0:
            break
    if not arguments.json:
        print(f"{expired} expired, {purged} purged, {reply.remaining_count} still due (lag {seconds(reply, 'lag')})")
    return OK if reply.remaining_count == 0 else FOUND_TROUBLE


async def show(services: Services, arguments: Namespace) -> int:
    """Print a story's record."""
    admin = StoryAdminServiceStub(await services.channel(STORY))
    reply = await admin.GetStoryRecord(GetStoryRecordRequest(story_id=arguments.story_id))
    _print_record(reply.record, arguments)
    return OK


async def hold(services: Services, arguments: Namespace) -> int:
    """Put a story under legal hold or lift it; print the record as it is then."""
    admin = StoryAdminServiceStub(await services.channel(STORY))
    reply = await admin.SetLegalHold(
        SetLegalHoldRequest(story_id=arguments.story_id, is_held=arguments.is_held, reason=arguments.reason)
    )
    _print_record(reply.record, arguments)
    return OK


def _print_findings(findings: Iterable[StoryFinding]) -> None:
    rows = [
        [
            word(StoryFindingKind, one.kind, "STORY_FINDING_KIND_").replace("_", " "),
            one.story_id,
            one.author_id,
            one.upload_id or "-",
            "yes" if one.is_repaired else "no",
        ]
        for one in findings
    ]
    table(["finding", "story", "author", "upload", "repaired"], rows, empty="Rows, cache and photos agree.")


def _print_record(record: StoryRecord, arguments: Namespace) -> None:
    if arguments.json:
        as_json(record)
        return
    facts(
        {
            "story": record.story_id,
            "author": record.author_id,
            "upload": record.upload_id,
            "state": word(StoryState, record.state, "STORY_STATE_"),
            "published": when(record, "create_time"),
            "expires": when(record, "expire_time"),
            "deleted": when(record, "delete_time"),
            "purge due": when(record, "purge_due_time"),
            "purged": when(record, "purge_time"),
            "legal hold": f"{'yes' if record.is_held else 'no'} {record.hold_reason}".strip(),
        }
    )
