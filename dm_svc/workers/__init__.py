"""Loops: who owns which partition, what the owner does, and the timers.

| module | what it runs |
| --- | --- |
| `partitions` | shares the partitions among the workers that live |
| `owner` | reads one partition's log in order, persists, announces |
| `consumers` | tells the push service of deliveries |
| `monitor` | asks NATS whether it syncs before it acknowledges |
"""
