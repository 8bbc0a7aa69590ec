"""G1: GraphQL over HTTP's own audit suite, the npm package graphql-http, against a running gateway."""

import asyncio
import json

from tests.fixtures.node import CLIENTS
from tests.integration.gateway.conftest import Running

AUDITS = 61


async def test_G1_all_audits_of_graphql_over_http_pass(running: Running, node: str) -> None:
    process = await asyncio.create_subprocess_exec(node, str(CLIENTS / "audits.mjs"), running.url, stdout=-1, stderr=-1)
    output, problems = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, problems.decode()
    results = json.loads(output)
    assert [one for one in results if one["status"] != "ok"] == []
    assert len(results) == AUDITS
