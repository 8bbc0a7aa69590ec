"""`heliograph user create|show`: people, of whom the system of accounts tells us."""

from argparse import Namespace

from cli.commands import OK, Nouns, noun, verb
from cli.output import as_json, facts, when
from cli.services import Services
from heliograph.feed.v1.graph_service_pb2 import BatchGetUsersRequest, UpsertUserRequest
from heliograph.feed.v1.user_pb2 import User
from mesh.errors import NotFound


class NoSuchUser(NotFound):
    """Nobody has this id."""

    reason = "USER_NOT_FOUND"


def add(nouns: Nouns) -> None:
    """Add the noun `user`."""
    verbs = noun(nouns, "user", "people")
    parser = verb(verbs, "create", "make users known, or change their shown name; safe to repeat", create)
    parser.add_argument("usernames", nargs="+", metavar="USERNAME", help="1 to 30 of a-z, 0-9, dot and underscore")
    parser.add_argument("--id", type=int, help="the id in the system of accounts (default: made here)")
    parser.add_argument("--display-name", default="", help="the name that is shown (default: the username)")
    parser = verb(verbs, "show", "show a person's public profile", show)
    parser.add_argument("person", help="username or number")


async def create(services: Services, arguments: Namespace) -> int:
    """Make users known; prints each as it is now."""
    graph = await services.graph()
    for username in arguments.usernames:
        reply = await graph.UpsertUser(
            UpsertUserRequest(username=username, user_id=arguments.id, display_name=arguments.display_name)
        )
        if arguments.json:
            as_json(reply)
        else:
            print(f"{reply.user.username}  {reply.user.user_id}  {'created' if reply.is_new else 'known already'}")
    return OK


async def show(services: Services, arguments: Namespace) -> int:
    """Print a profile."""
    user_id = await services.user_id(arguments.person)
    reply = await (await services.graph()).BatchGetUsers(BatchGetUsersRequest(user_ids=[user_id]))
    found = reply.results[0]
    if not found.found:
        raise NoSuchUser(f"there is no user {user_id}")
    if arguments.json:
        as_json(found.user)
    else:
        facts(_profile(found.user))
    return OK


def _profile(user: User) -> dict[str, object]:
    return {
        "id": user.user_id,
        "username": user.username,
        "shown as": user.display_name,
        "followers": user.follower_count,
        "following": user.following_count,
        "posts": user.post_count,
        "known since": when(user, "create_time"),
    }
