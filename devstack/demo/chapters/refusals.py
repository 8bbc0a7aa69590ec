"""Chapter five: what is refused, and with which words."""

from uuid import uuid4

from devstack.demo import upload
from devstack.demo.api import refusal
from devstack.demo.cast import Cast
from devstack.demo.chapters.posts import CREATE, FEED
from devstack.demo.narrator import Narrator
from devstack.demo.photos import Photograph

POST_BY_ID = "query ($id: ID!) { post(id: $id) { id } }"


async def refusals(cast: Cast, photographs: list[Photograph], tell: Narrator) -> None:
    """Each refusal bears the reason of the error table."""
    tell.chapter("What is refused")
    with tell.step("No token: nothing is answered.") as step:
        step.equal(await refusal(cast.ada.api.ask(FEED, {"first": 1}, token=None)), "UNAUTHENTICATED", "the code")
    with tell.step("A caption of 2,201 characters.") as step:
        upload_id, _ = await upload.send(cast.ada, photographs[0], "POST")
        given = {"uploadId": upload_id, "caption": "x" * 2_201, "idempotencyKey": str(uuid4())}
        step.equal(await refusal(cast.ada.ask(CREATE, input=given)), "CAPTION_TOO_LONG", "the code")
    with tell.step("A photo is posted once: the same upload in a second post.") as step:
        given = {"uploadId": upload_id, "caption": "first", "idempotencyKey": str(uuid4())}
        await cast.ada.ask(CREATE, input=given)
        given["idempotencyKey"] = str(uuid4())
        step.equal(await refusal(cast.ada.ask(CREATE, input=given)), "UPLOAD_ALREADY_ATTACHED", "the code")
    with tell.step("Somebody else's upload is as if it weren't there.") as step:
        given = {"uploadId": upload_id, "caption": "mine?", "idempotencyKey": str(uuid4())}
        step.equal(await refusal(cast.dan.ask(CREATE, input=given)), "UPLOAD_NOT_FOUND", "the code")
    with tell.step("A text file that calls itself a JPEG is rejected, and says why.") as step:
        fake = Photograph("fake", b"This is no photograph. " * 50, "image/jpeg")
        _, done = await upload.send(cast.ada, fake, "POST")
        step.equal(done, {"status": "REJECTED", "rejectedReason": "UNSUPPORTED_FORMAT"}, "the outcome")
    with tell.step("An id that nobody has.") as step:
        # Base64url of Post:1, an id from before the product's first day.
        step.equal(await refusal(cast.ada.ask(POST_BY_ID, id="UG9zdDox")), "POST_NOT_FOUND", "the code")
