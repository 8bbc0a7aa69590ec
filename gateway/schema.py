"""The schema: every room's fields put together, and its export to `schema.graphql`."""

from pathlib import Path
from typing import Annotated, Any

import strawberry
from graphql import GraphQLField, GraphQLSchema, validate_schema
from strawberry.schema.config import StrawberryConfig

from gateway import ids
from gateway.context import Info
from gateway.errors import IdInvalid
from gateway.feed.queries import FeedQueries
from gateway.home.queries import HomeQueries
from gateway.live.subscriptions import LiveSubscriptions
from gateway.media.mutations import MediaMutations
from gateway.media.queries import MediaQueries, load_upload
from gateway.media.types import KIND as UPLOAD
from gateway.messages.mutations import MessageMutations
from gateway.messages.queries import MessageQueries, load_conversation, load_message
from gateway.messages.subscriptions import MessageSubscriptions
from gateway.messages.types import CONVERSATION, MESSAGE
from gateway.nodes import Node
from gateway.people.mutations import PeopleMutations
from gateway.people.queries import PeopleQueries, found_user
from gateway.people.types import KIND as USER
from gateway.posts.mutations import PostMutations
from gateway.posts.queries import PostQueries
from gateway.posts.reads import load_post
from gateway.posts.types import KIND as POST
from gateway.scalars import SCALARS
from gateway.stories.mutations import StoryMutations
from gateway.stories.queries import StoryQueries, load_story
from gateway.stories.types import KIND as STORY
from mesh.errors import NotFound, Unauthenticated

SDL = Path(__file__).with_name("schema.graphql")


@strawberry.type(description="What can be read.")
class Query(HomeQueries, FeedQueries, PostQueries, PeopleQueries, StoryQueries, MessageQueries, MediaQueries):
    """The root of queries."""

    @strawberry.field(description="Anything with an id; null when it is absent or not for the viewer.")
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the thing.")],
    ) -> Node | None:
        """Return a node of any kind."""
        kind, _ = ids.decode(id)
        try:
            match kind:
                case "User":
                    return await found_user(ids.number(USER, id), info)
                case "Post":
                    return await load_post(ids.number(POST, id), info)
                case "Story":
                    return await load_story(ids.number(STORY, id), info)
                case "Message":
                    return await load_message(ids.uuid(MESSAGE, id), info)
                case "Conversation":
                    return await load_conversation(ids.pair(CONVERSATION, id), info)
                case "Upload":
                    return await load_upload(ids.uuid(UPLOAD, id), info)
        except NotFound:
            return None
        raise IdInvalid


@strawberry.type(description="What can be changed.")
class Mutation(MediaMutations, PostMutations, PeopleMutations, StoryMutations, MessageMutations):
    """The root of mutations."""


@strawberry.type(description="What can be listened to, over WebSocket (graphql-transport-ws).")
class Subscription(MessageSubscriptions, LiveSubscriptions):
    """The root of subscriptions."""


def build() -> GraphQLSchema:
    """Return the schema for graphql-core, every root field closed to those who don't say who they are."""
    schema = core_of(strawberry_schema())
    if problems := validate_schema(schema):
        raise problems[0]
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        for field in root.fields.values() if root else ():
            _close(field)
    return schema


def sdl() -> str:
    """Return the schema in GraphQL's schema language."""
    return strawberry_schema().as_str() + "\n"


def write_sdl() -> int:
    """Write `schema.graphql`; returns the exit status."""
    SDL.write_text(sdl(), encoding="utf-8")
    return 0


def core_of(schema: strawberry.Schema) -> GraphQLSchema:
    """Return Strawberry's schema as graphql-core knows it; Strawberry has no public name for it."""
    return schema._schema


def strawberry_schema() -> strawberry.Schema:
    """Return the schema as Strawberry knows it, its root fields open."""
    return strawberry.Schema(
        query=Query, mutation=Mutation, subscription=Subscription, config=StrawberryConfig(scalar_map=SCALARS)
    )


def _close(field: GraphQLField) -> None:
    """Refuse viewers without a token before the field's own resolver runs: a new field can't be left open. What a plan
    has fetched for the field is not fetched again."""
    for name in ("resolve", "subscribe"):
        inner: Any = getattr(field, name)
        if inner is not None:
            setattr(field, name, _closed(inner))


def _closed(inner: Any) -> Any:
    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        if info.context.viewer is None:
            raise Unauthenticated
        if info.path.key in info.context.fetched:
            return info.context.fetched.again(info.path.key)
        return inner(source, info, **arguments)

    return resolve
