"""Chapter one: who follows whom."""

from devstack.demo.api import Person
from devstack.demo.cast import Cast
from devstack.demo.narrator import Narrator, until
from devstack.demo.photos import Photograph

FOLLOW = "mutation ($who: ID!) { follow(input: {userId: $who}) { user { username viewerFollows followerCount } } }"
PROFILE = "query ($who: ID!) { user(id: $who) { displayName followerCount followingCount viewerFollows } }"
SOON_SECONDS = 5.0


async def people(cast: Cast, _photographs: list[Photograph], tell: Narrator) -> None:
    """Ben and Cleo follow Ada; Ben and Cleo follow each other; Dan follows nobody."""
    tell.chapter("People")
    for follower, followed in (
        (cast.ben, cast.ada),
        (cast.cleo, cast.ada),
        (cast.ben, cast.cleo),
        (cast.cleo, cast.ben),
    ):
        with tell.step(f"{follower.name} follows {followed.name}.") as step:
            data = await follower.ask(FOLLOW, who=followed.user_id)
            step.done()
            step.equal(data["follow"]["user"]["username"], followed.username, "the followed person is returned")
            step.check(data["follow"]["user"]["viewerFollows"], "the follower is told that they follow")
    with tell.step("Following again changes nothing; Ada has 2 followers.") as step:
        await cast.ben.ask(FOLLOW, who=cast.ada.user_id)
        profile = await until(
            lambda: _profile(cast.dan, cast.ada),
            lambda one: one["followerCount"] == 2,
            within=SOON_SECONDS,
            what="Ada has 2 followers",
        )
        step.equal(profile["displayName"], cast.ada.username, "Ada's shown name, until she chooses one")
        step.check(not profile["viewerFollows"], "Dan does not follow Ada")


async def _profile(viewer: Person, who: Person) -> dict[str, object]:
    profile: dict[str, object] = (await viewer.ask(PROFILE, who=who.user_id))["user"]
    return profile
