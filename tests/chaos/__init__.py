"""Promises under faults: `make chaos NAME=outbox`, `QUICK=1` for less than two minutes, `SABOTAGE=name`.

A check is a module here with `async def run(check: Check) -> None` and `SABOTAGES`, a mapping from a name to what it
breaks. It starts its own stack (`check.stack`), lets a `Storm` fire faults while it works, and counts. A sabotage
breaks our side of the promise on purpose, from the outside (a patched or replaced collaborator, another setting); the
check must then end with `"ok": false`. One whose sabotage passes proves nothing.
"""
