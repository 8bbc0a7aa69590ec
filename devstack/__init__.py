"""The embedded stack: real servers and every service as supervised child processes.

`devstack.stack.Stack` is the way in for tests and benchmarks, `python -m devstack` for people; see README.md.
"""
