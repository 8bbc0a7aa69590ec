"""`heliograph media reconcile`: rows and objects of photos, compared both ways."""

from argparse import Namespace

from cli.commands import FOUND_TROUBLE, OK, Nouns, noun, verb
from cli.output import as_json, table, when, word
from cli.services import MEDIA, Services
from heliograph.media.v1.media_admin_service_pb2 import MediaFinding, MediaFindingKind, ReconcileMediaRequest
from heliograph.media.v1.media_admin_service_pb2_grpc import MediaAdminServiceStub


def add(nouns: Nouns) -> None:
    """Add the noun `media`."""
    verbs = noun(nouns, "media", "photos in the object store")
    parser = verb(verbs, "reconcile", "compare rows with objects; status 3 if something is left wrong", reconcile)
    parser.add_argument("--repair", action="store_true", help="remove what may be removed (default: only report)")


async def reconcile(services: Services, arguments: Namespace) -> int:
    """Run through all pages; print every finding and the sums."""
    admin = MediaAdminServiceStub(await services.channel(MEDIA))
    objects = rows = repaired = 0
    findings: list[MediaFinding] = []
    token = ""
    while True:
        reply = await admin.ReconcileMedia(ReconcileMediaRequest(repair=arguments.repair, page_token=token))
        if arguments.json:
            as_json(reply)
        objects += reply.object_count
        rows += reply.row_count
        repaired += reply.repaired_count
        findings += reply.findings
        token = reply.next_page_token
        if not token:
            break
    if not arguments.json:
        table(
            ["finding", "bucket", "key", "upload", "bytes", "since", "repaired"],
            [_row(finding) for finding in findings],
            empty="Rows and objects agree.",
        )
        print(f"{objects} objects and {rows} rows checked, {len(findings)} don't agree, {repaired} repaired")
    return OK if all(finding.is_repaired for finding in findings) else FOUND_TROUBLE


def _row(finding: MediaFinding) -> list[object]:
    return [
        word(MediaFindingKind, finding.kind, "MEDIA_FINDING_KIND_").replace("_", " "),
        finding.bucket or "-",
        finding.key or "-",
        finding.upload_id or "-",
        finding.size_bytes,
        when(finding, "modify_time"),
        "yes" if finding.is_repaired else "no",
    ]
