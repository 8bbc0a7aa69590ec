"""The rules of `protos/README.md`, held by reading the descriptors."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MethodOptions

from heliograph.events.v1 import options_pb2
from heliograph.feed.v1 import feed_item_pb2, feed_item_view_pb2, feed_service_pb2, post_pb2
from heliograph.story.v1 import story_pb2, story_service_pb2, story_tray_view_pb2
from tests.contract.descriptors import (
    CALLERS,
    INTEGERS,
    PROTOS,
    ROOT,
    SERVICES,
    TEXT_IDS,
    error_table,
    events,
    files,
    messages,
    option,
    places,
    reasons_in,
    rpcs,
)

# --- Files, names and comments ------------------------------------------------------------------


def test_style_layout_and_compatibility_hold():
    done = subprocess.run([sys.executable, PROTOS / "check.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_holds_one_service_or_none():
    crowded = [file.name for file in files() if len(file.service) > 1]
    mixed = [file.name for file in files() if bool(file.service) != file.name.endswith("_service.proto")]
    assert (crowded, mixed) == ([], [])


def test_everything_bears_a_comment():
    # Field numbers of FileDescriptorProto and of what it holds; a path of these leads to every element.
    message, enum, service, extension, oneof = 4, 5, 6, 7, 8
    missing = []
    for file in files():
        said = {tuple(place.path) for place in file.source_code_info.location if place.leading_comments.strip()}

        def walk(kind, path, name):
            yield path, name
            yield from (((*path, 2, i), f"{name}.{field.name}") for i, field in enumerate(kind.field))
            # A field that is `optional` has a oneof of its own, which nobody wrote.
            yield from (
                ((*path, oneof, i), f"{name}.{one.name}")
                for i, one in enumerate(kind.oneof_decl)
                if not any(field.proto3_optional and field.oneof_index == i for field in kind.field)
            )
            for i, nested in enumerate(kind.nested_type):
                yield from walk(nested, (*path, 3, i), f"{name}.{nested.name}")
            assert not kind.enum_type, "enums stand at the top of their file"

        elements = [((extension, i), one.name) for i, one in enumerate(file.extension)]
        for i, kind in enumerate(file.message_type):
            elements += walk(kind, (message, i), kind.name)
        for i, kind in enumerate(file.enum_type):
            elements.append(((enum, i), kind.name))
            elements += [((enum, i, 2, j), value.name) for j, value in enumerate(kind.value)]
        for i, one in enumerate(file.service):
            elements.append(((service, i), one.name))
            elements += [((service, i, 2, j), method.name) for j, method in enumerate(one.method)]
        missing += [f"{file.name}: {name}" for path, name in elements if path not in said]
    assert missing == []


def test_names_say_type_and_unit():
    wrong = []
    for name, kind in messages().items():
        for field in kind.field:
            told = f"{name}.{field.name}"
            is_time = field.type_name == ".google.protobuf.Timestamp"
            if is_time != field.name.endswith("_time"):
                wrong.append(f"{told}: a Timestamp ends in _time, and nothing else does")
            if field.type == FieldDescriptorProto.TYPE_INT64 and "size" in field.name and "_bytes" not in field.name:
                wrong.append(f"{told}: a size ends in _bytes")
            if field.name.endswith("_id"):
                expected = (
                    FieldDescriptorProto.TYPE_STRING if field.name in TEXT_IDS else FieldDescriptorProto.TYPE_INT64
                )
                if field.type != expected:
                    wrong.append(f"{told}: ids are int64, or strings where they are {sorted(TEXT_IDS)}")
    assert wrong == []


# --- RPCs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rpc", rpcs(), ids=lambda rpc: rpc.name)
def test_an_rpc_says_who_calls_it_how_it_fails_and_whether_it_may_be_repeated(rpc):
    assert rpc.proto.options.HasField("idempotency_level")
    assert rpc.proto.options.idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN, "clients could never retry it"
    callers = set(re.findall(r"\w+", rpc.line("Callers").replace("for the viewer", "").replace("or as itself", "")))
    assert callers
    assert callers <= CALLERS
    assert rpc.line("Errors")


@pytest.mark.parametrize("rpc", [rpc for rpc in rpcs() if rpc.acts_for_a_person], ids=lambda rpc: rpc.name)
def test_G3_a_request_that_acts_for_a_person_does_not_say_who_that_is(rpc):
    forgeable = re.compile(r"(viewer|sender|actor|caller|owner|reader|follower|blocker|self|me|my)_(id|user_id)")
    assert [field.name for field in rpc.request.field if forgeable.fullmatch(field.name)] == []


def test_G3_a_service_for_staff_acts_for_nobody():
    assert [rpc.name for rpc in rpcs() if rpc.service.endswith("AdminService") and rpc.acts_for_a_person] == []


@pytest.mark.parametrize("rpc", [r for r in rpcs() if r.proto.name.startswith("List")], ids=lambda rpc: rpc.name)
def test_a_list_has_pages(rpc):
    assert {"page_size", "page_token"} <= {field.name for field in rpc.request.field}
    assert "next_page_token" in {field.name for field in rpc.response.field}
    assert {"PAGE_SIZE_INVALID", "PAGE_TOKEN_INVALID"} <= reasons_in(rpc.line("Errors"))
    assert rpc.proto.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS


@pytest.mark.parametrize("rpc", [r for r in rpcs() if r.proto.name.startswith("BatchGet")], ids=lambda rpc: rpc.name)
def test_a_batch_says_what_is_missing(rpc):
    (asked,) = rpc.request.field
    (results,) = rpc.response.field
    assert asked.label == results.label == FieldDescriptorProto.LABEL_REPEATED
    lookup = {field.name: field.type for field in messages()[results.type_name].field}
    assert lookup.pop("found") == FieldDescriptorProto.TYPE_BOOL
    assert lookup.pop(asked.name.removesuffix("s")) == asked.type
    assert list(lookup.values()) == [FieldDescriptorProto.TYPE_MESSAGE]
    assert "BATCH_TOO_LARGE" in reasons_in(rpc.line("Errors"))


@pytest.mark.parametrize("rpc", rpcs(), ids=lambda rpc: rpc.name)
def test_M3_a_create_has_an_idempotency_key(rpc):
    keys = {"request_id", "client_message_id"} & {field.name for field in rpc.request.field}
    creates = re.match(r"(Create|Publish|SendMessage|UpdateProfile|SetDeliveryPolicy)", rpc.proto.name)
    assert bool(keys) == bool(creates)
    assert bool(keys) == ("IDEMPOTENCY_KEY_REUSED" in reasons_in(rpc.line("Errors")))
    if keys:
        assert rpc.proto.options.idempotency_level == MethodOptions.IDEMPOTENT


def test_a_post_survives_the_view_that_leaves_it_undecoded():
    whole, view = feed_service_pb2.GetHomeFeedResponse, feed_item_view_pb2.GetHomeFeedResponseView
    for kind, bare in ((whole, view), (feed_item_pb2.FeedItem, feed_item_view_pb2.FeedItemView)):
        numbers, bare_numbers = ({f.name: f.number for f in one.DESCRIPTOR.fields} for one in (kind, bare))
        assert numbers == bare_numbers
    page = whole(next_page_token="more", is_stale=True, cursors=["after 7"])
    item = page.items.add(like_count=3, viewer_has_liked=True)
    item.post.post_id = 7
    item.post.author.username = "ada"

    seen = view.FromString(page.SerializeToString())

    assert post_pb2.Post.FromString(seen.items[0].post) == item.post
    assert (seen.items[0].like_count, seen.items[0].viewer_has_liked) == (3, True)
    assert (seen.next_page_token, seen.is_stale, list(seen.cursors)) == ("more", True, ["after 7"])


def test_a_tray_put_together_from_serialised_stories_reads_as_the_promised_message():
    whole, view = story_service_pb2.GetStoryTrayResponse, story_tray_view_pb2.GetStoryTrayResponseView
    for kind, bare in ((whole, view), (story_pb2.StoryReel, story_tray_view_pb2.StoryReelView)):
        numbers, bare_numbers = ({f.name: f.number for f in one.DESCRIPTOR.fields} for one in (kind, bare))
        assert numbers == bare_numbers
    tray = whole(has_more=True, is_stale=True)
    reel = tray.reels.add(has_unseen=True)
    reel.author.username = "ada"
    reel.stories.add(story_id=7)
    reel.stories.add(story_id=8, viewer_has_seen=True)

    written = view(has_more=True, is_stale=True)
    stories = [story.SerializeToString() for story in reel.stories]
    written.reels.add(author=reel.author.SerializeToString(), has_unseen=True, stories=stories)

    # As gRPC does it with whatever a servicer returns.
    assert whole.FromString(whole.SerializeToString(written)) == tray


# --- Events -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), events())
def test_an_event_says_where_it_travels(name, kind):
    fields = {field.name: field for field in kind.field}
    subject = option(kind, options_pb2.subject)
    assert re.fullmatch(r"[a-z_]+(\.([a-z_]+|\{\w+(:\d+)?\}))+", subject)
    stream = option(kind, options_pb2.stream)
    assert re.fullmatch(r"POSTS|GRAPH|STORIES|INBOX|MEDIA|DM_\{partition:02\}|", stream)
    assert bool(stream) != subject.startswith(("live.", "connected."))
    for template in (subject, stream, option(kind, options_pb2.schedule_subject)):
        for place in places(template):
            assert fields[place].label != FieldDescriptorProto.LABEL_REPEATED
            assert fields[place].type in (*INTEGERS, FieldDescriptorProto.TYPE_STRING)


def test_events_have_subjects_of_their_own():
    patterns = [
        re.sub(r"\{.*?\}", "*", template)
        for _, kind in events()
        for template in (option(kind, options_pb2.subject), option(kind, options_pb2.schedule_subject))
        if template
    ]
    assert len(patterns) == len(set(patterns))


def test_the_table_of_events_is_complete():
    section = (PROTOS / "README.md").read_text().split("\n## Events\n")[1].split("\n## ")[0]
    told = {
        (row[1].strip("` "), re.findall(r"`(.*?)`", row[2])[0], row[0].split()[0].replace("none:", ""))
        for line in section.splitlines()
        if len(row := [cell.strip() for cell in line.strip("|").split("|")]) == 3 and row[1].startswith("`")
    }
    assert told == {
        (name, option(kind, options_pb2.subject), option(kind, options_pb2.stream)) for name, kind in events()
    }


def test_no_event_bears_a_presigned_url():
    """Photos travel in events as Media, or inside an inbox entry, whose comment says that URLs are left out."""
    photos = [
        f"{name}.{field.name}"
        for name, kind in messages().items()
        if name.startswith(".heliograph.events.")
        for field in kind.field
        if field.type_name == ".heliograph.media.v1.Photo" or "url" in field.name
    ]
    assert photos == []


# --- Errors -------------------------------------------------------------------------------------


def test_the_error_table_has_each_reason_once_with_a_status_and_a_word_on_retrying():
    rows = error_table()
    assert len({row.reason for row in rows}) == len(rows) > 0
    for row in rows:
        assert row.retry in {"yes", "later", "no"}
        if row.section != "The gateway alone":
            assert row.status in grpc.StatusCode.__members__


def test_the_error_table_has_exactly_the_reasons_that_rpcs_name():
    general = {row.reason for row in error_table() if row.section in {"Any call", "The gateway alone"}}
    named = {reason for rpc in rpcs() for reason in reasons_in(rpc.line("Errors"))}
    assert named - general == {row.reason for row in error_table()} - general


def test_every_reason_that_the_code_raises_is_in_the_error_table():
    known = {row.reason for row in error_table()}
    unknown = [
        f"{path.relative_to(ROOT)}: {reason}"
        for package in ("mesh", "gateway", *SERVICES)
        for path in sorted((ROOT / package).rglob("*.py"))
        for reason in reasons_raised_in(path)
        if reason not in known
    ]
    assert unknown == []


def reasons_raised_in(path: Path) -> Iterator[str]:
    """The strings that error classes of a file bear as `reason`."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Assign(targets=[ast.Name(id="reason")], value=ast.Constant(value=str(reason))):
                yield reason
            case ast.AnnAssign(target=ast.Name(id="reason"), value=ast.Constant(value=str(reason))):
                yield reason


# --- The programs beside the protos -------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """A copy of the protos in a project of its own, without a commit."""
    shutil.copytree(PROTOS, tmp_path / "protos", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def run(program: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, program], capture_output=True, text=True)


def test_G1_a_field_that_was_published_can_not_be_removed_unnoticed(project):
    before_first_commit = run(project / "protos/check.py")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message=Publish the protos")
    unchanged = run(project / "protos/check.py")
    post = project / "protos/heliograph/feed/v1/post.proto"
    post.write_text(re.sub(r"  // Caption as written.*\n  string caption = 4;\n", "", post.read_text()))

    broken = run(project / "protos/check.py")

    assert before_first_commit.returncode == 0, before_first_commit.stdout
    assert "nothing to compare with" in before_first_commit.stdout
    assert unchanged.returncode == 0, unchanged.stdout
    assert broken.returncode == 1
    assert 'Previously present field "4" with name "caption"' in broken.stdout


def test_a_missing_comment_and_a_loose_layout_are_found(project):
    relation = project / "protos/heliograph/feed/v1/relation.proto"
    relation.write_text(relation.read_text().replace("  // The object follows the subject.\n", " "))
    done = run(project / "protos/check.py")
    assert done.returncode == 1
    assert re.search(r"lint +FAILED", done.stdout)
    assert re.search(r"format +FAILED", done.stdout)


def test_generation_is_skipped_when_nothing_changed_and_a_failed_one_leaves_the_old_package(project):
    generate = project / "protos/generate.py"
    first, second = run(generate), run(generate)
    made = project / "gen/heliograph"
    stamp = (made / ".digest").read_text()
    relation = project / "protos/heliograph/feed/v1/relation.proto"
    whole = relation.read_text()
    relation.write_text(whole.replace("bool blocks", "boolean blocks"))
    failed = run(generate)
    after_failure = (made / ".digest").read_text()
    relation.write_text(whole.replace("bool blocks = 6", "bool blocks = 16"))
    third = run(generate)

    assert (first.returncode, second.returncode, failed.returncode, third.returncode) == (0, 0, 1, 0), first.stderr
    assert "generated" in first.stdout
    assert "up to date" in second.stdout
    assert "protoc failed" in failed.stderr
    assert after_failure == stamp
    assert (made / ".digest").read_text() != stamp
    assert "BLOCKS_FIELD_NUMBER" in (made / "feed/v1/relation_pb2.pyi").read_text()
    assert (made / "py.typed").exists()
    assert sorted(path.name for path in (project / "gen").iterdir()) == [".lock", "heliograph"]


def test_every_generated_module_can_be_imported(project):
    run(project / "protos/generate.py")
    walk = (
        "import importlib, pkgutil, heliograph\n"
        "names = [m.name for m in pkgutil.walk_packages(heliograph.__path__, 'heliograph.')]\n"
        "[importlib.import_module(name) for name in names]\n"
        "print(sum(name.endswith('_pb2') for name in names))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", walk], cwd=project / "gen", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(list((PROTOS / "heliograph").rglob("*.proto")))
