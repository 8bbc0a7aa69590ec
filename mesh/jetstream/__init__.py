"""NATS: streams, publishing with an id, ordered reading, consuming with explicit outcomes, and best-effort notices.

Reading is by pull requests that are renewed before they run dry, so messages arrive as soon as they are stored and
a slow reader holds nothing but its own batch. (nats-py's `fetch(n)` waits for `n` messages or its timeout.)
"""

import asyncio
import json
import secrets
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamConfig

from mesh import cancellation
from mesh.errors import RefusedToServe
from mesh.jetstream import direct
from mesh.jetstream.address import Address
from mesh.jetstream.publisher import PUBLISH_SECONDS, Outgoing, Publisher, Stored
from mesh.jetstream.pull import Pull, Received, read
from mesh.jetstream.trouble import AWAY, MessagingUnavailable, StreamBehind, translated
from mesh.telemetry import get_logger

START_SECONDS = 10.0
"""How long a process that starts waits for NATS."""
RECONNECT_WAIT_SECONDS = 0.25
_NO_MESSAGE_FOUND = 10037
_SEQUENCE_NOT_FOUND = 10043
_DELETE_FAILED = 10057

_log = get_logger(__name__)


def _is_gone(error: Mapping[str, Any]) -> bool:
    """Whether the server says that it has no such message any more."""
    code = error.get("err_code")
    # It has no code of its own for what lies before the first message that it still has.
    return code in (_NO_MESSAGE_FOUND, _SEQUENCE_NOT_FOUND) or (
        code == _DELETE_FAILED and error.get("description") == "no message found"
    )


class JetStream:
    """One connection to NATS. It reconnects by itself, for ever; calls meanwhile fail with `MessagingUnavailable`."""

    def __init__(self, client: Client, *, replicas: int = 1) -> None:
        self._client = client
        self._context = client.jetstream(timeout=PUBLISH_SECONDS)
        self._publisher = Publisher(client)
        self._pulls: set[Pull] = set()
        self._handling: set[asyncio.Task[None]] = set()
        """Notices that are being handled."""
        self.replicas = replicas
        """How many copies of each stream there are."""

    def on_reconnect(self) -> None:
        """End what waits on the lost connection at once: its requests died with it, in silence."""
        self._publisher.lose()
        for pull in self._pulls:
            pull.lose()

    async def declare_stream(self, config: StreamConfig, *, synced: bool = True) -> None:
        """Create the stream, or bring an existing one to this configuration, with as many copies as the address says.

        Safe to repeat. A stream that is not `synced` is acknowledged before it is on disk, whatever the server's
        setting: five times as fast, and right only for what can be made again from another place.
        """
        config = config.evolve(num_replicas=self.replicas)
        with translated():
            if not synced:
                await self._declare_unsynced(config)
                return
            try:
                await self._context.add_stream(config)
            except nats.js.errors.BadRequestError:
                await self._context.update_stream(config)

    async def _declare_unsynced(self, config: StreamConfig) -> None:
        # nats-py knows no field for it.
        body = {**config.as_dict(), "persist_mode": "async"}
        answer = await self.raw_request(f"$JS.API.STREAM.CREATE.{config.name}", body)
        if "error" in answer:
            answer = await self.raw_request(f"$JS.API.STREAM.UPDATE.{config.name}", body)
        if "error" in answer:
            raise MessagingUnavailable(str(answer["error"].get("description")), stream=str(config.name))

    async def publish(
        self,
        subject: str,
        payload: bytes,
        *,
        message_id: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Stored:
        """Store a message and return where; a `message_id` seen within the stream's dedup window stores nothing new."""
        if message_id is not None:
            headers = {**(headers or {}), "Nats-Msg-Id": message_id}
        (stored,) = await self.publish_all([Outgoing(subject, payload, headers)])
        return stored

    async def publish_all(self, messages: Sequence[Outgoing]) -> list[Stored]:
        """Store messages, each for itself and in this order; return where each is.

        `MessagingUnavailable` when one of them was not acknowledged: any may be stored then.
        """
        with translated():
            self._refuse_while_away()
            return await self._publisher.publish(messages)

    async def publish_run(self, messages: Sequence[Outgoing], notices: Sequence[Outgoing] = ()) -> None:
        """Store messages of one stream in this order; only the last one's acknowledgement is asked for. What nobody
        stores, `notices`, goes before them in the same write.

        The server takes what one connection sends in its order, so the earlier ones are stored by then, unless the
        stream refused them: only for streams that drop their oldest when they are full.
        `MessagingUnavailable` when the last one was not acknowledged: any may be stored then.
        """
        if messages or notices:
            with translated():
                self._refuse_while_away()
                await self._publisher.publish(messages[-1:], unacknowledged=[*notices, *messages[:-1]])

    def _refuse_while_away(self) -> None:
        # nats-py would keep it and send it after a reconnect, when its caller has long given up.
        if not self._client.is_connected:
            raise nats.errors.ConnectionClosedError

    async def publish_batch(self, messages: Sequence[tuple[str, bytes, dict[str, str]]]) -> Stored:
        """Store up to 1,000 messages (subject, payload, headers) together or not at all, with one sync.

        Returns where the last one is. The stream must allow it (`allow_atomic`); a broken condition in the headers of
        one of them refuses all, with `nats.js.errors.BadRequestError`.
        """
        batch = secrets.token_hex(16)
        *first, (subject, payload, headers) = messages
        with translated():
            for number, (its_subject, its_payload, its_headers) in enumerate(first, start=1):
                place = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
                await self._client.publish(its_subject, its_payload, headers={**its_headers, **place})
            place = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(len(messages)), "Nats-Batch-Commit": "1"}
            reply = await self._client.request(subject, payload, headers={**headers, **place}, timeout=PUBLISH_SECONDS)
            answer = json.loads(reply.data)
            if "error" in answer:
                nats.js.errors.APIError.from_error(answer["error"])  # raises the class of its code
        return Stored(answer["stream"], answer["seq"], duplicate=False)

    async def tell(self, subject: str, payload: bytes) -> None:
        """Send a notice to whoever listens right now; it is not stored, and lost when NATS is away."""
        if self._client.is_connected:
            # It follows a commit: whatever goes wrong here must not look as if that had failed.
            with suppress(*AWAY):
                await self._client.publish(subject, payload)

    async def hear(self, subject: str, on_notice: Callable[[Msg], Any], *, queue: str = "") -> Subscription:
        """Call `on_notice` for each notice; returns once the server knows of the subscription.

        What is plain is called in the order of the notices; what is async runs beside others of its kind.
        """
        take = self._beside(on_notice) if asyncio.iscoroutinefunction(on_notice) else on_notice
        with translated():
            subscription = await direct.subscribe(self._client, subject, take, queue=queue)
            try:
                # Without the flush a notice that is sent elsewhere a moment later can be missed. nats-py writes the
                # ping of a flush past what waits to be sent, so that goes first: else the answer comes too early, one
                # time in twenty.
                await self._client._flush_pending(force_flush=True)
                await self._client.flush()
            except BaseException:
                # Nobody would have the subscription's name to end it, and it would outlive a reconnection.
                await subscription.unsubscribe()
                raise
        return subscription

    def _beside(self, on_notice: Callable[[Msg], Any]) -> Callable[[Msg], None]:
        def take(message: Msg) -> None:
            task = asyncio.create_task(on_notice(message))
            self._handling.add(task)
            task.add_done_callback(self._handled)

        return take

    async def end_handling(self) -> None:
        """End what handles notices."""
        await cancellation.end(self._handling)

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._handling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("notice_failed", exc_info=error)

    async def is_heard(self, subject: str, *, seconds: float) -> bool:
        """Whether anybody answers on a subject right now; `False` when nobody listens, or nobody answers in time."""
        try:
            await self._client.request(subject, b"", timeout=seconds)
        except (nats.errors.NoRespondersError, TimeoutError):
            return False
        except nats.errors.Error as error:
            raise MessagingUnavailable from error
        return True

    async def last_sequence(self, stream: str, *, subject: str | None = None) -> int:
        """Return the sequence of the newest message of the stream, or of one subject in it; 0 when there is none."""
        with translated():
            if subject is None:
                return (await self._context.stream_info(stream)).state.last_seq
            try:
                return (await self._context.get_last_msg(stream, subject)).seq or 0
            except nats.js.errors.NotFoundError:
                return 0

    async def get(self, stream: str, sequence: int) -> Received | None:
        """Return one message of the stream; `None` when it was removed or never was."""
        with translated():
            try:
                found = await self._context.get_msg(stream, sequence)
            except nats.js.errors.NotFoundError:
                return None
        return Received(
            subject=found.subject or "",
            payload=found.data or b"",
            headers=dict(found.headers or {}),
            stream_sequence=sequence,
            consumer_sequence=0,
            deliveries=1,
        )

    async def erase(self, stream: str, sequence: int) -> None:
        """Overwrite one message of the stream, so that its bytes are gone; the others keep theirs. Safe to repeat."""
        with translated():
            answer = await self.raw_request(f"$JS.API.STREAM.MSG.DELETE.{stream}", {"seq": sequence})
        if "error" in answer and not _is_gone(answer["error"]):
            raise MessagingUnavailable(str(answer["error"].get("description")), stream=stream)

    async def purge(self, stream: str, subject: str) -> None:
        """Remove every message of one subject. Safe to repeat."""
        answer = await self.raw_request(f"$JS.API.STREAM.PURGE.{stream}", {"filter": subject})
        if "error" in answer:
            raise MessagingUnavailable(str(answer["error"].get("description")), stream=stream)

    async def read_in_order(
        self, stream: str, *, after: int, batch: int = 500, subject: str | None = None
    ) -> AsyncGenerator[list[Received], None]:
        """Yield the stream's messages from sequence `after` + 1 on, in order, each once, for ever.

        Only those of one `subject`, if given. Batches are whatever has arrived, at most `batch`. No acknowledgements:
        the caller keeps its own position. A reset of the connection, of the server or of the consumer is healed by
        reading again from the last position.
        `StreamBehind` when the stream ends before the position.
        """
        position = after
        while True:
            config = ConsumerConfig(
                ack_policy=AckPolicy.NONE,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=position + 1,
                filter_subject=subject,
                inactive_threshold=60.0,
                mem_storage=True,
                num_replicas=1,
            )
            try:
                if (last := await self.last_sequence(stream)) < position:
                    raise StreamBehind(f"{stream} ends at {last}, but was read up to {position}")
                async with self._pull(stream, config, batch=batch) as pull:
                    expected = 1
                    async for messages in pull.batches():
                        received = [read(message) for message in messages]
                        if [one.consumer_sequence for one in received] != list(
                            range(expected, expected + len(received))
                        ):
                            break  # something was lost on the way: read again from the position
                        expected += len(received)
                        position = received[-1].stream_sequence
                        yield received
            except MessagingUnavailable as error:
                _log.warning("ordered_reader_reset", stream=stream, position=position, cause=str(error.__cause__))
                await asyncio.sleep(RECONNECT_WAIT_SECONDS)

    async def ensure_consumer(self, stream: str, config: ConsumerConfig) -> str:
        """Create or update a consumer and return its name."""
        with translated():
            info = await self._context.add_consumer(stream, config)
        return info.name

    async def raw_request(self, subject: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Call the server's JSON API where nats-py has no method for it."""
        with translated():
            reply = await self._client.request(subject, json.dumps(payload).encode(), timeout=PUBLISH_SECONDS)
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    @property
    def context(self) -> Any:
        """Return nats-py's own JetStream context, for administration in tests and tools."""
        return self._context

    async def ping(self) -> None:
        """Raise `MessagingUnavailable` unless NATS answers."""
        with translated():
            await self._client.flush(timeout=2)

    @asynccontextmanager
    async def pull_from(self, stream: str, consumer: str, *, batch: int) -> AsyncIterator["Pull"]:
        """Open pull requests on an existing consumer."""
        inbox = self._client.new_inbox()
        pull = Pull(self._client, inbox, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", batch)
        with translated():
            subscription = await direct.subscribe(self._client, inbox, pull.take)
        self._pulls.add(pull)
        try:
            yield pull
        finally:
            self._pulls.discard(pull)
            if not self._client.is_closed:
                with suppress(*AWAY):
                    await subscription.unsubscribe()

    @asynccontextmanager
    async def _pull(self, stream: str, config: ConsumerConfig, *, batch: int) -> AsyncIterator["Pull"]:
        name = await self.ensure_consumer(stream, config)
        try:
            async with self.pull_from(stream, name, batch=batch) as pull:
                yield pull
        finally:
            # Else the server keeps it until its inactivity threshold.
            if self._client.is_connected:
                with suppress(*AWAY):
                    await self._client.publish(f"$JS.API.CONSUMER.DELETE.{stream}.{name}")


async def refuse_unless_syncing(client_varz: Callable[[], Awaitable[dict[str, Any]]]) -> None:
    """Raise `RefusedToServe` unless the server's own report says that it syncs every write before its ack."""
    report = await client_varz()
    if not report.get("jetstream", {}).get("config", {}).get("sync_always"):
        raise RefusedToServe(
            "JetStream acknowledges before it syncs: an acknowledged message could be lost; "
            "set jetstream { sync_interval: always } and start again"
        )


@asynccontextmanager
async def connect(url: str, *, name: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[JetStream]:
    """Connect, within 10 s or `MessagingUnavailable`; later losses are healed, however long they take.

    What was handed over is sent before the end.
    """

    async def on_error(error: Exception) -> None:
        _log.warning("nats_error", error=repr(error))

    async def on_disconnect() -> None:
        if not client.is_closed:
            _log.warning("nats_disconnected")

    address = Address.of(url)
    client = Client()
    jetstream = JetStream(client, replicas=address.replicas)

    async def on_reconnect() -> None:
        _log.info("nats_reconnected")
        jetstream.on_reconnect()

    try:
        async with asyncio.timeout(START_SECONDS):
            await client.connect(
                list(address.servers),
                name=name,
                tls=tls,
                error_cb=on_error,
                disconnected_cb=on_disconnect,
                reconnected_cb=on_reconnect,
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_WAIT_SECONDS,  # type: ignore[arg-type]  # it may be a float
                connect_timeout=3,
                ping_interval=5,
                max_outstanding_pings=2,
                pending_size=8 * 1024 * 1024,
            )
    except (nats.errors.Error, OSError) as error:  # TimeoutError is an OSError
        await client.close()
        raise MessagingUnavailable(
            f"NATS at {address} does not answer or does not know us; start it or correct HELIOGRAPH_NATS_URL"
        ) from error
    try:
        yield jetstream
    finally:
        await jetstream.end_handling()
        await client.close()


__all__ = [
    "JetStream",
    "MessagingUnavailable",
    "Outgoing",
    "Pull",
    "Received",
    "Stored",
    "StreamBehind",
    "connect",
    "read",
    "refuse_unless_syncing",
]
