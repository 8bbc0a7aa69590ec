"""A page out of a conversation, as the conversation grows: its cost must stay flat."""

import time

from benchmarks.bench import Bench
from benchmarks.messages.rig import CONTENT, Rig
from heliograph.dm.v1 import message_service_pb2
from mesh import auth, postgres
from mesh.config import PostgresConfig

READER, OTHER = 1, 2
GROW_SECONDS = 600.0
PAGES = 300


async def measure_history(bench: Bench, rig: Rig) -> None:
    """Print how the time of a page grew."""
    bench.say("Pages of a conversation, as it grows")
    auth.set_viewer(rig.viewer(READER))
    await rig.send(READER, OTHER)
    await _page(rig, "")  # waits until it is persisted
    points = {}
    for size in (1_000, 100_000) if bench.quick else (1_000, 100_000, 10_000_000):
        await _grow(rig, size)
        token = ""
        pages = bench.size(PAGES, 60)
        began = time.perf_counter()
        for _ in range(pages):
            token = await _page(rig, token)
        points[size] = (time.perf_counter() - began) * 1000 / pages
    bench.figure("history_growth_per_doubling", bench.scaling("messages", "ms per page", points), "1.0: flat")


async def _page(rig: Rig, token: str) -> str:
    page = await rig.stub.ListMessages(
        message_service_pb2.ListMessagesRequest(conversation_id=f"{READER}-{OTHER}", page_size=20, page_token=token)
    )
    return page.next_page_token


async def _grow(rig: Rig, size: int) -> None:
    """Fill the conversation up to so many messages, past the log: only the tables are read here."""
    config = PostgresConfig(rig.stack.postgres.dsn("dm_svc"), None, 2, GROW_SECONDS)
    async with postgres.connect(config) as database, database.transaction() as connection:
        await connection.execute("SET LOCAL synchronous_commit = off")
        await connection.execute(
            """
            INSERT INTO messages (conversation_id, number, message_id, sender_id, client_message_id, content,
                                  low_count, log_sequence, send_time)
            SELECT '1-2', n, gen_random_uuid(), 1, 'grown', %(content)s, n, 0, now()
            FROM generate_series((SELECT last_number + 1 FROM conversations WHERE conversation_id = '1-2'), %(size)s) n
            """,
            {"content": CONTENT, "size": size},
        )
        await connection.execute(
            "UPDATE conversations SET last_number = %(size)s, low_count = %(size)s WHERE conversation_id = '1-2'",
            {"size": size},
        )
