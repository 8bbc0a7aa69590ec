"""`heliograph feed` as staff type it, beside the running system."""

import json

from devstack.demo.cast import Cast, CommandLine
from devstack.demo.chapters.posts import post
from tests.e2e.test_thin_path import CAT


async def test_staff_explain_verify_and_rebuild_a_feed(cast: Cast, heliograph: CommandLine) -> None:
    await post(cast.ada, CAT)
    ben = cast.ben.username
    explained = await heliograph("feed", "explain", ben)
    assert "stored timeline" in explained
    rebuilt = json.loads(await heliograph("feed", "rebuild", ben, "--json"))
    assert [int(one["entry_count"]) for one in rebuilt["results"]] == [1]
    verified = await heliograph("feed", "verify", "--sample", "20", "--seed", "5")
    assert "0" in next(line for line in verified.splitlines() if line.startswith("missing"))
