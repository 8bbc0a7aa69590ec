import asyncio

import pytest

from gateway.messages.mailbox import Mailbox, MailboxFull


async def test_things_come_out_in_the_order_in_which_they_went_in() -> None:
    mailbox: Mailbox[int] = Mailbox(3)

    async def write() -> None:
        for number in range(20):
            await mailbox.put(number)

    writer = asyncio.create_task(write())
    assert [await mailbox.get() for _ in range(20)] == list(range(20))
    await writer
    assert len(mailbox) == 0


async def test_without_room_a_writer_waits_or_is_told() -> None:
    mailbox: Mailbox[int] = Mailbox(1)
    mailbox.put_at_once(1)
    with pytest.raises(MailboxFull):
        mailbox.put_at_once(2)
    writer = asyncio.create_task(mailbox.put(2))
    await asyncio.sleep(0)
    assert not writer.done()
    mailbox.clear()
    await writer
    assert await mailbox.get() == 2


async def test_a_reader_that_gave_up_takes_nothing_with_it() -> None:
    mailbox: Mailbox[int] = Mailbox(1)
    reader = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    mailbox.put_at_once(1)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    assert await mailbox.get() == 1
