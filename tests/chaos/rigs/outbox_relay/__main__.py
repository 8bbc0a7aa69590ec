"""`python -m outbox_relay work|migrate`; `RIG_SABOTAGE` names what it shall do wrong."""

import os
import sys
from dataclasses import dataclass
from typing import Any

from mesh import entry, health, jetstream, outbox, postgres
from mesh.config import NATS_URL, PostgresConfig, ProcessConfig, setting
from mesh.health import Health
from mesh.jetstream import JetStream, Stored
from mesh.lifecycle import Process
from mesh.outbox import Relay


@dataclass(frozen=True, slots=True)
class Config:
    """Read once, here."""

    process: ProcessConfig
    postgres: PostgresConfig
    nats_url: str = setting("HELIOGRAPH_NATS_URL", NATS_URL)


async def start(process: Process, config: Config, _roles: frozenset[str]) -> None:
    """Run one relay."""
    database = await process.enter(postgres.connect(config.postgres))
    stream = await process.enter(jetstream.connect(config.nats_url, name="outbox_relay"))
    await process.enter(health.serve(Health(), config.process.metrics_listen))
    relay = Relay(postgres=database, jetstream=stream, wakeup=outbox.Wakeup(stream, "outbox_relay"))
    process.loop("relay", relay.run)


def break_it(sabotage: str) -> None:
    """Patch our side of the promise away."""
    if sabotage == "delete_before_ack":
        Relay.publish_batch = _delete_first  # type: ignore[method-assign]
    elif sabotage == "new_id_per_try":
        publish = JetStream.publish

        async def publish_without_id(self: JetStream, subject: str, payload: bytes, **options: Any) -> Stored:
            options.pop("message_id", None)
            return await publish(self, subject, payload, **options)

        JetStream.publish = publish_without_id  # type: ignore[method-assign]
    elif sabotage:
        raise ValueError(sabotage)


async def _delete_first(self: Relay) -> int:
    async with self._postgres.transaction() as connection:
        cursor = await connection.execute("DELETE FROM outbox RETURNING message_id, subject, payload")
        rows = await cursor.fetchall()
    for message_id, subject, payload in rows:
        await self._jetstream.publish(subject, bytes(payload), message_id=str(message_id))
    return len(rows)


if __name__ == "__main__":
    break_it(os.environ.get("RIG_SABOTAGE", ""))
    raise SystemExit(
        entry.main(
            "outbox_relay",
            Config,
            start,
            components=[outbox.COMPONENT],
            arguments=sys.argv[1:],
            environment=os.environ,
        )
    )
