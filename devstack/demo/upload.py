"""How a photo gets in: permission, bytes to the object store, completion, checking."""

from typing import Any
from uuid import uuid4

from devstack.demo.api import Person
from devstack.demo.narrator import until
from devstack.demo.photos import Photograph

CREATE = """
mutation ($input: CreateUploadInput!) {
  createUpload(input: $input) { upload { id status } form { url fields { name value } } }
}
"""
COMPLETE = "mutation ($id: ID!) { completeUpload(input: {uploadId: $id}) { upload { id status rejectedReason } } }"
STATUS = "query ($id: ID!) { upload(id: $id) { status rejectedReason } }"
CHECKED_SECONDS = 30.0
FINAL = ("READY", "REJECTED")


async def permit(person: Person, photo: Photograph, kind: str) -> dict[str, Any]:
    """Ask for the permission to upload; returns `upload` and `form`."""
    given = {
        "kind": kind,
        "contentType": photo.content_type,
        "byteSize": len(photo.content),
        "idempotencyKey": str(uuid4()),
    }
    data = await person.ask(CREATE, input=given)
    permission: dict[str, Any] = data["createUpload"]
    return permission


async def complete(person: Person, upload_id: str) -> dict[str, Any]:
    """Say that the bytes are there and wait until they are checked; returns the upload."""
    await person.ask(COMPLETE, id=upload_id)

    async def status() -> dict[str, Any]:
        upload: dict[str, Any] = (await person.ask(STATUS, id=upload_id))["upload"]
        return upload

    return await until(
        status, lambda upload: upload["status"] in FINAL, within=CHECKED_SECONDS, what="the photo is checked"
    )


async def send(person: Person, photo: Photograph, kind: str) -> tuple[str, dict[str, Any]]:
    """Do all of it; returns the upload's id and the checked upload."""
    permission = await permit(person, photo, kind)
    await person.api.post_form(permission["form"], photo.content, content_type=photo.content_type)
    upload_id: str = permission["upload"]["id"]
    return upload_id, await complete(person, upload_id)
