"""Named SQL: one `sql/queries.sql` a service, loaded once.

    -- name: get_post
    -- The post, deleted or not, for its author's retry.
    SELECT post_id, caption FROM posts WHERE author_id = %(author_id)s AND post_id = %(post_id)s;

    QUERIES = load(__package__)
    post = await QUERIES["get_post"].one(connection, PostRow, author_id=1, post_id=2)

Parameters are psycopg's `%(name)s`; a literal percent sign is written `%%`. Row types are dataclasses whose fields bear
the names of the columns.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Generic, LiteralString, TypeVar

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import class_row, scalar_row

Row = TypeVar("Row")
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Query:
    """One named statement."""

    name: str
    sql: LiteralString

    async def all(self, connection: AsyncConnection[Any], row: type[Row], **parameters: Any) -> list[Row]:
        """Return every row, in the statement's order."""
        async with connection.cursor(row_factory=class_row(row)) as cursor:
            await cursor.execute(self.sql, parameters)
            return await cursor.fetchall()

    async def one(self, connection: AsyncConnection[Any], row: type[Row], **parameters: Any) -> Row | None:
        """Return the first row, or `None`."""
        async with connection.cursor(row_factory=class_row(row)) as cursor:
            await cursor.execute(self.sql, parameters)
            return await cursor.fetchone()

    async def values(self, connection: AsyncConnection[Any], **parameters: Any) -> list[Any]:
        """Return the first column of every row."""
        async with connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(self.sql, parameters)
            return await cursor.fetchall()

    async def value(self, connection: AsyncConnection[Any], **parameters: Any) -> Any:
        """Return the first column of the first row, or `None`."""
        async with connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(self.sql, parameters)
            return await cursor.fetchone()

    async def ask(self, connection: AsyncConnection[Any], row: type[Row], **parameters: Any) -> "Answer[Row]":
        """Send the statement; in a pipeline several go out before the first answer is awaited."""
        cursor = connection.cursor(row_factory=class_row(row))
        return Answer(await cursor.execute(self.sql, parameters))

    async def ask_values(self, connection: AsyncConnection[Any], **parameters: Any) -> "Answer[Any]":
        """Send the statement; the answer is the first column of every row."""
        cursor = connection.cursor(row_factory=scalar_row)
        return Answer(await cursor.execute(self.sql, parameters))

    async def run(self, connection: AsyncConnection[Any], **parameters: Any) -> int:
        """Run a statement that returns no rows; return how many rows it touched."""
        return (await connection.execute(self.sql, parameters)).rowcount

    async def run_many(self, connection: AsyncConnection[Any], parameters: Iterable[Mapping[str, Any]]) -> None:
        """Run the statement once for each set of parameters, in one round trip."""
        async with connection.cursor() as cursor:
            await cursor.executemany(self.sql, parameters)


@dataclass(frozen=True, slots=True)
class Answer(Generic[Row]):
    """The rows of a statement that is on its way."""

    _cursor: AsyncCursor[Row]

    async def rows(self) -> list[Row]:
        """Return them all, in the statement's order."""
        async with self._cursor:
            return await self._cursor.fetchall()


def load(package: str, path: str = "sql/queries.sql") -> dict[str, Query]:
    """Read the named statements of a package's file; a name that stands twice is a `ValueError`."""
    text = resources.files(package).joinpath(path).read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    queries: dict[str, Query] = {}
    for name, sql in zip(parts[::2], parts[1::2], strict=True):
        if name in queries:
            raise ValueError(f"{package}/{path}: two queries are named {name}")
        queries[name] = Query(name, sql.strip().rstrip(";"))
    return queries
