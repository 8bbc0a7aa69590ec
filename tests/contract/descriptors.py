"""What the protos say, read from their descriptors, and what the tables beside them say."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc_tools
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos"
SERVICES = ("feed_svc", "story_svc", "dm_svc", "media_svc")
CALLERS = {*SERVICES, "gateway", "cli"}
INTEGERS = (FieldDescriptorProto.TYPE_INT64, FieldDescriptorProto.TYPE_INT32)
TEXT_IDS = {
    *("upload_id", "avatar_upload_id", "message_id", "entry_id"),  # UUIDs
    *("conversation_id", "request_id", "client_message_id"),
}


@cache
def files() -> tuple[FileDescriptorProto, ...]:
    """Every proto of the project, with its comments."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "heliograph").rglob("*.proto"))
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    with TemporaryDirectory() as folder:
        out = Path(folder) / "descriptors"
        arguments = [f"--proto_path={PROTOS}", f"--proto_path={well_known}", "--include_source_info"]
        assert protoc.main(["protoc", *arguments, f"--descriptor_set_out={out}", *sources]) == 0
        return tuple(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file)


@dataclass(frozen=True)
class Rpc:
    service: str
    proto: descriptor_pb2.MethodDescriptorProto
    comment: str

    @property
    def name(self) -> str:
        return f"{self.service}.{self.proto.name}"

    @property
    def acts_for_a_person(self) -> bool:
        return "for the viewer" in self.line("Callers")

    @property
    def request(self) -> descriptor_pb2.DescriptorProto:
        return messages()[self.proto.input_type]

    @property
    def response(self) -> descriptor_pb2.DescriptorProto:
        return messages()[self.proto.output_type]

    def line(self, label: str) -> str:
        """What stands after `label:`, to the next label or the end of the comment."""
        found = re.search(rf"^{label}: (.*?)(?=^\w+: |\Z)", self.comment, re.MULTILINE | re.DOTALL)
        return " ".join(found[1].split()) if found else ""


@cache
def messages() -> dict[str, descriptor_pb2.DescriptorProto]:
    """Every message, nested ones too, by its full name with a leading dot."""

    def walk(prefix, kinds):
        for kind in kinds:
            yield f"{prefix}.{kind.name}", kind
            yield from walk(f"{prefix}.{kind.name}", kind.nested_type)

    return {name: kind for file in files() for name, kind in walk(f".{file.package}", file.message_type)}


@cache
def rpcs() -> tuple[Rpc, ...]:
    def walk() -> Iterator[Rpc]:
        for file in files():
            comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
            for i, service in enumerate(file.service):
                for j, method in enumerate(service.method):
                    comment = "\n".join(line.strip() for line in comments[6, i, 2, j].splitlines())
                    yield Rpc(service=service.name, proto=method, comment=comment)

    return tuple(walk())


def events() -> list[tuple[str, descriptor_pb2.DescriptorProto]]:
    """Every event: the top-level messages of the events area."""
    return [
        (kind.name, kind) for file in files() if file.package == "heliograph.events.v1" for kind in file.message_type
    ]


def option(kind: descriptor_pb2.DescriptorProto, extension) -> str:
    return kind.options.Extensions[extension]


def places(template: str) -> list[str]:
    return re.findall(r"\{(\w+)(?::\d+)?\}", template)


def reasons_in(text: str) -> set[str]:
    return set(re.findall(r"\b[A-Z][A-Z_]{3,}\b", text))


@dataclass(frozen=True)
class Row:
    section: str
    reason: str
    status: str
    retry: str


@cache
def error_table() -> tuple[Row, ...]:
    text = (PROTOS / "README.md").read_text().split("\n## Errors\n")[1]
    rows = []
    for section in text.split("\n### ")[1:]:
        title, _, body = section.partition("\n")
        for line in body.splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 5 and cells[0].isupper():
                rows.append(Row(section=title, reason=cells[0], status=cells[1], retry=cells[4]))
    return tuple(rows)
