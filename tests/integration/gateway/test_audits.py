"""G1: GraphQL over HTTP's own audit suite, the npm package graphql-http, against a running gateway."""

import asyncio
import json
from typing import Any

import pytest

from gateway.http import endpoint
from tests.fixtures.node import CLIENTS
from tests.integration.gateway.conftest import Running

AUDITS = 61


async def audited(running: Running, node: str) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(node, str(CLIENTS / "audits.mjs"), running.url, stdout=-1, stderr=-1)
    output, problems = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, problems.decode()
    results: list[dict[str, Any]] = json.loads(output)
    return results


async def test_G1_all_audits_of_graphql_over_http_pass(running: Running, node: str) -> None:
    results = await audited(running, node)
    assert [one for one in results if one["status"] != "ok"] == []
    assert len(results) == AUDITS


async def test_G1_a_gateway_that_answers_whatever_comes_with_200_is_caught(
    running: Running, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = endpoint._json
    monkeypatch.setattr(endpoint, "_json", lambda _status, *answer, **headers: answered(200, *answer, **headers))
    assert len([one for one in await audited(running, node) if one["status"] != "ok"]) >= 5
