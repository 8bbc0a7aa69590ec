"""The rules of direct messages, pure: no client library, no waiting.

| module | what it holds |
| --- | --- |
| `values` | what the service speaks of |
| `rules` | checks of what people give, and who may write to whom |
| `fold` | what log entries do to conversations: numbers, pointers, inboxes |
| `verify` | recomputes what is served, independently of `fold` |
"""
