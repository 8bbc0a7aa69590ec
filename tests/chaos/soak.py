"""Mixed load on the whole system while its parts are killed: A1, at most one request in a thousand fails.

Two processes of every role, as a small installation would run. Apps come in open loop: home (feed and stories in one
document), authors' posts, messages, histories, likes; beside them photos are uploaded and posted. An app does what
apps do: it asks another gateway, with the same idempotency key, while a call is refused or hangs, and gives up after
`PATIENCE_SECONDS`. A request fails when it has no good answer by then; a home without its feed is no good answer.
Latency counts from the moment at which the app meant to ask, all attempts included.
"""

import asyncio
import itertools
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.load import Outcome, open_loop
from devstack.demo.api import Api, Person, Refused
from devstack.demo.cast import CommandLine
from devstack.demo.photos import Photograph
from devstack.demo.upload import send
from devstack.services import inherited
from devstack.stack import CLI, Stack
from tests.chaos.check import Check
from tests.chaos.storm import Fault, Storm, freeze, keep_down, kill
from tests.pictures import jpeg

SABOTAGES = {
    "breaker_off": "feed_svc waits for Redis and Postgres anew at every read",
    "no_second_try": "apps and services never ask again",
}

PEOPLE = 60
FOLLOWED = 15
FRIENDS = 3
"""To whom a person writes: the next in the circle, who follow them."""
PER_S = 25.0
UPLOAD_EVERY_SECONDS = 2.0
FULL_SECONDS = 600.0
QUICK_SECONDS = 60.0
PATIENCE_SECONDS = 5.0
ATTEMPT_SECONDS = 2.0
PAUSE_SECONDS = 0.1
MOST_FAILED = 0.001
FEED_P99_MS = 500.0
ROLES = [
    *(
        f"{service}.{role}"
        for service in ("feed_svc", "story_svc", "dm_svc", "media_svc")
        for role in ("serve", "work")
    ),
    "gateway.serve",
]

HOME = """query { home {
  feed { isStale edges { node {
    id caption createdAt author { username } likeCount viewerHasLiked photoUrl(width: 640)
  } } }
  storyTray { author { username } hasUnseen stories { id } }
} }"""
POSTS_OF = "query ($id: ID!) { user(id: $id) { posts(first: 20) { edges { node { id caption } } } } }"
SEND = "mutation ($in: SendMessageInput!) { sendMessage(input: $in) { message { id } } }"
HISTORY = "query ($id: ID!) { conversation(withUserId: $id) { messages(first: 20) { edges { node { id content } } } } }"
LIKE = "mutation ($id: ID!) { likePost(input: {postId: $id}) { post { id likeCount } } }"
POST = "mutation ($in: CreatePostInput!) { createPost(input: $in) { post { id } } }"
STORY = "mutation ($in: PublishStoryInput!) { publishStory(input: $in) { story { id } } }"
FOLLOW = "mutation ($id: ID!) { follow(input: {userId: $id}) { user { id } } }"

TRY_AGAIN = (
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "OVERLOADED",
    "INTERNAL",
    "DATABASE_UNAVAILABLE",
    "MESSAGING_UNAVAILABLE",
)


async def run(check: Check) -> None:
    """Bear load under a storm, then judge."""
    seconds = QUICK_SECONDS if check.quick else FULL_SECONDS
    is_patient = check.sabotage != "no_second_try"
    rig = str(Path(__file__).parent / "rigs" / "soak_sabotage")
    environment = {"SOAK_SABOTAGE": check.sabotage, "PYTHONPATH": paths(rig)} if check.sabotage else {}
    replicas = dict.fromkeys(ROLES, 2)
    async with check.stack(replicas=replicas, redis_failover=True, environment=environment) as stack:
        gateways = [stack.state.environment(name)["HELIOGRAPH_LISTEN"] for name in ("gateway.serve", "gateway.serve.2")]
        async with Apps(stack, gateways, is_patient=is_patient) as apps:
            await apps.populate()
            check.say(f"{PEOPLE} people, {PER_S:g} requests/s for {seconds:.0f} s under faults")
            every = (seconds / 20, seconds / 12)
            async with Storm(check, _faults(stack), every_seconds=every):
                uploads = asyncio.create_task(apps.keep_posting())
                outcome = await open_loop(apps.act, per_s=PER_S, seconds=seconds)
                uploads.cancel()
                await asyncio.gather(uploads, return_exceptions=True)
    _judge(check, apps, outcome)


def _judge(check: Check, apps: "Apps", outcome: Outcome) -> None:
    asked = outcome.answered + outcome.failed
    feeds = sorted(apps.home_ms)
    p99 = feeds[max(0, int(len(feeds) * 0.99) - 1)] if feeds else float("inf")
    check.count("requests", asked)
    check.count("failed", outcome.failed)
    check.count("second_tries", apps.second_tries)
    check.count("stale_feeds", apps.stale)
    check.count("posts", apps.posted)
    check.count("posts_failed", apps.posts_failed)
    check.count("feed_p50_ms", round(feeds[len(feeds) // 2], 1) if feeds else float("inf"))
    check.count("feed_p99_ms", round(p99, 1))
    check.count("driver_late_ms", round(outcome.driver_late_ms, 1))
    for failure in apps.failures[:20]:
        check.say(f"failed: {failure}")
    check.require(outcome.failed <= MOST_FAILED * asked, f"{outcome.failed} of {asked} requests failed")
    check.require(p99 < FEED_P99_MS, f"the feed's p99 was {p99:.0f} ms")
    check.require(
        sum(check.faults.values()) >= (5 if check.quick else 12), "too few faults were fired to tell anything"
    )


def _faults(stack: Stack) -> dict[str, Fault]:
    killed: dict[str, Fault] = {f"kill_{name}": lambda name=name: kill(stack, name) for name in ROLES}  # type: ignore[misc]
    return {
        **killed,
        "freeze_feed_serve": lambda: freeze(stack, "feed_svc.serve.2", 1.0),
        "freeze_redis": lambda: freeze(stack, "redis", 4.0),
        "redis_down_3_s": lambda: keep_down(stack, "redis", 3.0),
        "kill_nats": lambda: kill(stack, "nats"),
        "postgres_down_1_s": lambda: keep_down(stack, "postgres", 1.0),
        "kill_s3": lambda: kill(stack, "s3"),
    }


def paths(first: str) -> str:
    """Return a PYTHONPATH for the stack's processes that begins with a folder."""
    checkout = Path(__file__).parents[2]
    return ":".join([first, str(checkout), str(checkout / "gen")])


@dataclass(frozen=True, slots=True)
class Someone:
    """A person, as each of the gateways knows them."""

    number: int
    at: tuple[Person, ...]

    @property
    def user_id(self) -> str:
        """Their id in GraphQL."""
        return self.at[0].user_id


class Apps:
    """The apps of all people."""

    def __init__(self, stack: Stack, gateways: list[str], *, is_patient: bool) -> None:
        self._stack = stack
        self._apis = [Api(f"http://{address}/graphql") for address in gateways]
        self._is_patient = is_patient
        self._people: list[Someone] = []
        self._posts: list[str] = []
        self._draw = random.Random(7)
        self._turn = itertools.count()
        self.home_ms: list[float] = []
        self.failures: list[str] = []
        self.second_tries = 0
        self.stale = 0
        self.posted = 0
        self.posts_failed = 0
        self._actions: dict[Callable[[Someone], Awaitable[None]], int] = {
            self._home: 60,
            self._posts_of: 10,
            self._send: 20,
            self._history: 5,
            self._like: 5,
        }

    async def __aenter__(self) -> "Apps":
        """Open the connections."""
        for api in self._apis:
            await api.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        """Close them."""
        for api in self._apis:
            await api.__aexit__(*error)

    @property
    def tokens(self) -> list[str]:
        """Everybody's token."""
        return [someone.at[0].token for someone in self._people]

    @property
    def writers(self) -> list[tuple[str, str]]:
        """Everybody's token, with the id of somebody to whom they may write."""
        return [(someone.at[0].token, self._other(someone).user_id) for someone in self._people]

    async def populate(self) -> None:
        """Make the people, let them follow each other, and post a first photo each."""
        heliograph = CommandLine({**inherited(), **self._stack.state.environment(CLI), **self._state()})
        names = [f"person{number}" for number in range(PEOPLE)]
        await heliograph("user", "create", *names)
        tokens = (await heliograph("token", *names)).split()
        for number, (name, token) in enumerate(zip(names, tokens, strict=True)):
            user_id = (await self._apis[0].ask("{ viewer { id } }", {}, token=token))["viewer"]["id"]
            self._people.append(Someone(number, tuple(Person(api, name, name, user_id, token) for api in self._apis)))
        for someone in self._people:
            strangers = self._draw.sample([one for one in self._people if one is not someone], FOLLOWED)
            # Those who write to them as well: from others one must accept a request before they may write more.
            for other in {*strangers, *(self._people[someone.number - step] for step in range(1, FRIENDS + 1))}:
                await self._ask(someone, FOLLOW, id=other.user_id)
        for someone in self._people[:20]:
            await self._post(someone)

    def _state(self) -> dict[str, str]:
        return {"HELIOGRAPH_STATE": str(self._stack.folder.path)}

    async def act(self, _number: int) -> None:
        """Do one of the things that people do; raises when it has failed."""
        (action,) = self._draw.choices(list(self._actions), list(self._actions.values()))
        try:
            await action(self._draw.choice(self._people))
        except Exception as error:
            self.failures.append(f"{action.__name__.strip('_')}: {type(error).__name__} {error}")
            raise

    async def keep_posting(self) -> None:
        """Upload and post photos, one in five of them as a story."""
        while True:
            someone = self._draw.choice(self._people)
            try:
                await self._post(someone, as_story=self.posted % 5 == 0)
            except Exception as error:  # counted: an app would show it and try again later
                del error
                self.posts_failed += 1
            await asyncio.sleep(UPLOAD_EVERY_SECONDS)

    async def _post(self, someone: Someone, *, as_story: bool = False) -> None:
        photo = Photograph("photo", jpeg(320, 240), "image/jpeg")
        upload_id, upload = await send(
            someone.at[next(self._turn) % len(self._apis)], photo, "STORY" if as_story else "POST"
        )
        if upload["status"] != "READY":
            raise ValueError(upload["status"])
        key = uuid.uuid4().hex
        if as_story:
            await self._ask(someone, STORY, **{"in": {"uploadId": upload_id, "idempotencyKey": key}})
        else:
            given = {"uploadId": upload_id, "caption": "a photo", "idempotencyKey": key}
            self._posts.append((await self._ask(someone, POST, **{"in": given}))["createPost"]["post"]["id"])
        self.posted += 1

    async def _home(self, someone: Someone) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        home = (await self._ask(someone, HOME))["home"]
        self.home_ms.append((loop.time() - began) * 1000)
        self.stale += home["feed"]["isStale"]

    async def _posts_of(self, someone: Someone) -> None:
        await self._ask(someone, POSTS_OF, id=self._draw.choice(self._people).user_id)

    async def _send(self, someone: Someone) -> None:
        given = {"recipientId": self._other(someone).user_id, "content": "hello", "clientMessageId": str(uuid.uuid4())}
        await self._ask(someone, SEND, **{"in": given})

    async def _history(self, someone: Someone) -> None:
        await self._ask(someone, HISTORY, id=self._other(someone).user_id)

    async def _like(self, someone: Someone) -> None:
        await self._ask(someone, LIKE, id=self._draw.choice(self._posts))

    def _other(self, someone: Someone) -> Someone:
        return self._people[(someone.number + self._draw.randint(1, FRIENDS)) % PEOPLE]

    async def _ask(self, someone: Someone, document: str, **variables: Any) -> dict[str, Any]:
        """Ask one gateway, then the other, and so on, until there is a good answer or no patience is left."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for attempt in itertools.count(next(self._turn)):
                try:
                    async with asyncio.timeout(ATTEMPT_SECONDS):
                        return await someone.at[attempt % len(self._apis)].ask(document, **variables)
                except (aiohttp.ClientError, TimeoutError, TypeError, Refused) as error:
                    codes = error.codes if isinstance(error, Refused) else TRY_AGAIN
                    if not self._is_patient or not set(codes) & set(TRY_AGAIN):
                        raise
                self.second_tries += 1
                await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError("unreachable")
