"""Chapter six: what ends, ends at once."""

from devstack.demo.api import refusal
from devstack.demo.cast import Cast
from devstack.demo.chapters.posts import feed, ids
from devstack.demo.narrator import Narrator
from devstack.demo.photos import Photograph

DELETE = "mutation ($id: ID!) { deletePost(input: {postId: $id}) { deletedPostId } }"
UNFOLLOW = "mutation ($who: ID!) { unfollow(input: {userId: $who}) { user { viewerFollows } } }"
POST_BY_ID = "query ($id: ID!) { post(id: $id) { id } }"


async def endings(cast: Cast, _photographs: list[Photograph], tell: Narrator) -> None:
    """A deleted post and an unfollowed person are gone from the next feed."""
    tell.chapter("Endings")
    newest = next(edge["node"] for edge in (await feed(cast.ada))["edges"])
    with tell.step("Ada deletes her newest post: gone from Ben's next feed.") as step:
        await cast.ada.ask(DELETE, id=newest["id"])
        step.check(newest["id"] not in ids(await feed(cast.ben)), "Ben's feed lacks it")
        step.equal(await refusal(cast.ben.ask(POST_BY_ID, id=newest["id"])), "POST_NOT_FOUND", "its id leads nowhere")
    with tell.step("Cleo unfollows Ada: her next feed has only her own posts.") as step:
        data = await cast.cleo.ask(UNFOLLOW, who=cast.ada.user_id)
        step.check(not data["unfollow"]["user"]["viewerFollows"], "Cleo is told that she follows no more")
        authors = {edge["node"]["author"]["username"] for edge in (await feed(cast.cleo))["edges"]}
        step.equal(authors, {cast.cleo.username}, "the authors in Cleo's feed")
