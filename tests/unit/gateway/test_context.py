"""What fields of one operation share: one call, its failure too, and no cancellation."""

import asyncio
from typing import Any

import pytest

from gateway.context import Context
from mesh.errors import Unavailable

NOTHING: Any = None


class Service:
    def __init__(self) -> None:
        self.calls = 0
        self.may_answer = asyncio.Event()
        self.fails = False

    async def call(self) -> str:
        self.calls += 1
        await self.may_answer.wait()
        if self.fails:
            raise Unavailable
        return "an answer"


@pytest.fixture
def service() -> Service:
    return Service()


async def asked_by(count: int, service: Service) -> list[asyncio.Task[str]]:
    context = Context(NOTHING, None)
    asking = [asyncio.create_task(context.once("key", service.call)) for _ in range(count)]
    await asyncio.sleep(0)
    return asking


async def test_fields_that_ask_the_same_share_one_call(service: Service) -> None:
    asking = await asked_by(3, service)
    service.may_answer.set()
    assert await asyncio.gather(*asking) == ["an answer"] * 3
    assert service.calls == 1


async def test_they_share_its_failure(service: Service) -> None:
    asking = await asked_by(3, service)
    service.fails = True
    service.may_answer.set()
    failures = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in failures] == [Unavailable] * 3
    assert service.calls == 1


async def test_one_that_is_cancelled_takes_nobody_along(service: Service) -> None:
    first, second = await asked_by(2, service)
    first.cancel()
    service.may_answer.set()
    assert await second == "an answer"
    assert first.cancelled()
