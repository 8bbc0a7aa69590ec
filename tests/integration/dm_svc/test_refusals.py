"""dm_svc refuses to start, and says why, where a promise could not hold."""

from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from aiohttp import web

from dm_svc.workers.monitor import refuse_unless_log_is_durable
from mesh.errors import RefusedToServe
from tests.integration.dm_svc.conftest import http_server, running_app


async def test_A3_dm_svc_refuses_to_serve_when_jetstream_does_not_sync(rig):
    async def varz(_request):
        return web.json_response({"jetstream": {"config": {"sync_interval": 120_000_000_000}}})

    async with http_server(varz) as address:
        with pytest.raises(RefusedToServe, match="sync_interval"):
            async with AsyncExitStack() as exits:
                await running_app(
                    exits, replace(rig.config, nats_monitor_urls=f"{rig.config.nats_monitor_urls},{address}")
                )


async def test_A3_dm_svc_refuses_to_serve_when_nobody_says_whether_jetstream_syncs(rig):
    with pytest.raises(RefusedToServe, match="HELIOGRAPH_NATS_MONITOR_URLS"):
        async with AsyncExitStack() as exits:
            await running_app(exits, replace(rig.config, nats_monitor_urls="http://127.0.0.1:1"))


async def test_A3_of_a_cluster_a_minority_may_be_away_but_none_may_say_that_it_does_not_sync(stack):
    async def lax(_request):
        return web.json_response({"jetstream": {"config": {"sync_interval": 120_000_000_000}}})

    good, away = stack.nats.monitor_address, "http://127.0.0.1:1"
    await refuse_unless_log_is_durable(f"{good}, {away}, {good}")
    with pytest.raises(RefusedToServe, match="127.0.0.1:1"):
        await refuse_unless_log_is_durable(f"{good},{away},{away}")
    with pytest.raises(RefusedToServe, match="127.0.0.1:1"):
        await refuse_unless_log_is_durable(f"{good},{away}")
    async with http_server(lax) as address:
        with pytest.raises(RefusedToServe, match="sync_interval"):
            await refuse_unless_log_is_durable(f"{good},{good},{address}")


async def test_A3_dm_svc_refuses_another_number_of_partitions(rig):
    with pytest.raises(RefusedToServe, match="HELIOGRAPH_DM_PARTITIONS"):
        async with AsyncExitStack() as exits:
            await running_app(exits, replace(rig.config, partitions=9))


async def test_an_address_of_the_push_service_needs_a_secret(rig):
    with pytest.raises(RefusedToServe, match="WEBHOOK"):
        async with AsyncExitStack() as exits:
            await running_app(exits, replace(rig.config, push_webhook_url="http://127.0.0.1:1"))
