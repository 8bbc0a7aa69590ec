"""How fast it is, and how cost grows: `make bench NAME=outbox`, `QUICK=1` for less than two minutes.

A benchmark is a module here with `async def run(bench: Bench) -> None`. It starts its own stack in a temporary folder
(`bench.stack`), measures ours beside a reference in the same run (`measure.interleaved`), offers load in open loop
(`load.open_loop`: latency counts from the intended send time), and hands over figures whose names bear their unit.
"""
