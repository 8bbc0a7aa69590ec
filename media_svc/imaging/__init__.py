"""Turning strangers' bytes into safe pictures, in child processes that can do no harm.

| module | runs in | what it does |
| --- | --- | --- |
| `decoders` | the worker | hands originals to children, waits for what comes back, checks it |
| `zygote` | a process of its own | forks a fresh child for every original, and reports how it ended |
| `sandbox` | each child | takes away rights and sets limits |
| `develop` | each child | decodes, turns, converts, shrinks, encodes |
| `webp` | each child | decodes still WebPs within the memory of a child |
| `sniff` | each child | tells formats by their first bytes |
| `recipe` | all | pure: sizes, qualities and limits |
| `protocol`, `parcel` | both ends | what worker and zygote say, and how a result travels back |
"""
