# ruff: noqa: E501, ISC004 - a row of the matrix stays on one line
"""G3: every root field x {owner, other member, blocked, stranger, anonymous}, on Alice's things.

A root field without a row fails: whoever adds one says here who may use it. The services decide; what is tested is that
the gateway passes the right person on, adds no hole, and opens nothing to those without a token.
"""

import pytest

from gateway import ids
from tests.unit.gateway.conftest import SCHEMA, Asker
from tests.unit.gateway.world import World, furnished

OWNER, OTHER, BLOCKED, STRANGER, ANONYMOUS = 1, 2, 6, 4, None
PEOPLE = (OWNER, OTHER, BLOCKED, STRANGER)
EVERYBODY = frozenset(PEOPLE)
MEMBERS = frozenset({OWNER, OTHER})
UNBLOCKED = frozenset({OWNER, OTHER, STRANGER})
ONLY_OWNER = frozenset({OWNER})

ALICE, POST, STORY = ids.encode("User", 1), ids.encode("Post", 140), ids.encode("Story", 904)
TALK, MESSAGE = ids.encode("Conversation", "1-2"), ids.encode("Message", "10000000-0000-4000-8000-000000000000")
UPLOAD = ids.encode("Upload", "20000000-0000-4000-8000-000000000001")

ROWS: dict[str, tuple[str, frozenset[int]]] = {
    "Query.home": ("{ home { feed { isStale } storyTray { hasUnseen } } }", EVERYBODY),
    "Query.feed": ("{ feed { isStale } }", EVERYBODY),
    "Query.viewer": ("{ viewer { id } }", EVERYBODY),
    "Query.storyTray": ("{ storyTray { hasUnseen } }", EVERYBODY),
    "Query.conversations": ("{ conversations { edges { node { id } } } }", EVERYBODY),
    "Query.user": (f'{{ user(id: "{ALICE}") {{ id }} }}', UNBLOCKED),
    "Query.node": (f'{{ node(id: "{MESSAGE}") {{ id }} }}', MEMBERS),
    "Query.post": (f'{{ post(id: "{POST}") {{ id }} }}', UNBLOCKED),
    "Query.stories": (f'{{ stories(userId: "{ALICE}") {{ id }} }}', UNBLOCKED),
    "Query.conversation": (f'{{ conversation(id: "{TALK}") {{ messages {{ edges {{ node {{ content }} }} }} }} }}', MEMBERS),
    "Query.upload": (f'{{ upload(id: "{UPLOAD}") {{ status }} }}', ONLY_OWNER),
    "Mutation.createUpload": (
        'mutation { createUpload(input: {kind: POST, contentType: "image/jpeg", byteSize: 9}) { upload { id } } }',
        EVERYBODY,
    ),
    "Mutation.completeUpload": (f'mutation {{ completeUpload(input: {{uploadId: "{UPLOAD}"}}) {{ upload {{ id }} }} }}', ONLY_OWNER),
    "Mutation.abortUpload": (f'mutation {{ abortUpload(input: {{uploadId: "{UPLOAD}"}}) {{ upload {{ id }} }} }}', ONLY_OWNER),
    "Mutation.createPost": (
        f'mutation {{ createPost(input: {{uploadId: "{UPLOAD}", idempotencyKey: "k"}}) {{ post {{ id }} }} }}', ONLY_OWNER
    ),
    "Mutation.deletePost": (f'mutation {{ deletePost(input: {{postId: "{POST}"}}) {{ deletedPostId }} }}', ONLY_OWNER),
    "Mutation.likePost": (f'mutation {{ likePost(input: {{postId: "{POST}"}}) {{ post {{ id }} }} }}', UNBLOCKED),
    "Mutation.unlikePost": (f'mutation {{ unlikePost(input: {{postId: "{POST}"}}) {{ post {{ id }} }} }}', UNBLOCKED),
    "Mutation.follow": (f'mutation {{ follow(input: {{userId: "{ALICE}"}}) {{ user {{ id }} }} }}', UNBLOCKED),
    "Mutation.unfollow": (f'mutation {{ unfollow(input: {{userId: "{ALICE}"}}) {{ user {{ id }} }} }}', UNBLOCKED),
    "Mutation.block": (f'mutation {{ block(input: {{userId: "{ALICE}"}}) {{ blockedUserId }} }}', UNBLOCKED),
    "Mutation.unblock": (f'mutation {{ unblock(input: {{userId: "{ALICE}"}}) {{ unblockedUserId }} }}', UNBLOCKED),
    "Mutation.updateProfile": ('mutation { updateProfile(input: {displayName: "New"}) { user { id } } }', EVERYBODY),
    "Mutation.publishStory": (
        f'mutation {{ publishStory(input: {{uploadId: "{UPLOAD}", idempotencyKey: "k"}}) {{ story {{ id }} }} }}', ONLY_OWNER
    ),
    "Mutation.deleteStory": (f'mutation {{ deleteStory(input: {{storyId: "{STORY}"}}) {{ deletedStoryId }} }}', ONLY_OWNER),
    "Mutation.markStorySeen": (f'mutation {{ markStorySeen(input: {{storyId: "{STORY}"}}) {{ storyId }} }}', MEMBERS),
    "Mutation.sendMessage": (
        f'mutation {{ sendMessage(input: {{recipientId: "{ALICE}", content: "x", '
        'clientMessageId: "70000000-0000-4000-8000-000000000000"}) { message { id } } }',
        frozenset({OTHER, STRANGER}),
    ),
    "Mutation.markConversationRead": (
        f'mutation {{ markConversationRead(input: {{conversationId: "{TALK}", upToNumber: 1}}) {{ conversation {{ id }} }} }}',
        MEMBERS,
    ),
    "Mutation.unsendMessage": (f'mutation {{ unsendMessage(input: {{messageId: "{MESSAGE}"}}) {{ message {{ id }} }} }}', ONLY_OWNER),
    "Mutation.setTyping": (f'mutation {{ setTyping(input: {{conversationId: "{TALK}"}}) {{ conversationId }} }}', MEMBERS),
    "Mutation.acceptMessageRequest": (
        f'mutation {{ acceptMessageRequest(input: {{conversationId: "{TALK}"}}) {{ conversation {{ id }} }} }}', MEMBERS
    ),
    "Mutation.ignoreMessageRequest": (
        f'mutation {{ ignoreMessageRequest(input: {{conversationId: "{TALK}"}}) {{ conversation {{ id }} }} }}', MEMBERS
    ),
    "Mutation.updateMessageSettings": (
        "mutation { updateMessageSettings(input: {audience: NOBODY}) { audience } }", EVERYBODY
    ),
}  # fmt: skip


def test_G3_every_root_field_has_a_row() -> None:
    roots = [root for root in (SCHEMA.query_type, SCHEMA.mutation_type) if root]
    assert {f"{root.name}.{field}" for root in roots for field in root.fields} == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
async def test_G3_only_those_who_may_get_an_answer(world: World, row: str) -> None:
    query, allowed = ROWS[row]
    for user_id in PEOPLE:
        fresh = furnished_with_a_blocked_person()
        answer = await Asker(fresh)(query, user_id=user_id)
        got = "errors" not in answer and all(value is not None for value in answer["data"].values())
        assert got == (user_id in allowed), (user_id, answer)
        assert {person for _, person in fresh.calls} <= {user_id}
    anonymous = Asker(world)
    answer = await anonymous(query, user_id=ANONYMOUS)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"UNAUTHENTICATED"}
    assert world.calls == []


async def test_G3_nobody_but_the_author_learns_who_saw_a_story() -> None:
    for user_id in PEOPLE:
        answer = await Asker(furnished_with_a_blocked_person())(
            f'{{ node(id: "{STORY}") {{ ... on Story {{ viewers {{ totalCount }} }} }} }}', user_id=user_id
        )
        shown = (answer["data"]["node"] or {}).get("viewers")
        assert (shown is not None) == (user_id == OWNER)


def furnished_with_a_blocked_person() -> World:
    world = furnished()
    world.person(BLOCKED, "frank")
    world.blocks.add((OWNER, BLOCKED))
    return world
