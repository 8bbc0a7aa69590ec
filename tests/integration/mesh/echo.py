"""A service that answers what it is asked, for tests of calls."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.wrappers_pb2 import StringValue

NAME = "mesh.test.Echo"
KEY = Ed25519PrivateKey.generate()


def echo_descriptor():
    """A service with one method that may be repeated and one that may not."""
    file = descriptor_pb2.FileDescriptorProto(
        name="mesh_test.proto", package="mesh.test", syntax="proto3", dependency=["google/protobuf/wrappers.proto"]
    )
    service = file.service.add(name="Echo")
    for method, level in (("Read", MethodOptions.NO_SIDE_EFFECTS), ("Write", MethodOptions.IDEMPOTENCY_UNKNOWN)):
        kind = ".google.protobuf.StringValue"
        added = service.method.add(name=method, input_type=kind, output_type=kind)
        added.options.idempotency_level = level
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    StringValue.DESCRIPTOR.file.CopyToProto(wrappers)
    pool.Add(wrappers)
    pool.Add(file)
    return pool.FindServiceByName(NAME)


ECHO = echo_descriptor()


class Stub:
    def __init__(self, channel):
        self.channel = channel
        for name in ("Read", "Write"):
            call = channel.unary_unary(f"/{NAME}/{name}", StringValue.SerializeToString, StringValue.FromString)
            setattr(self, name.lower(), lambda text="", call=call, **more: call(StringValue(value=text), **more))


async def echo(request, _context):
    return request
