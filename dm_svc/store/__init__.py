"""Postgres, the truth: one method per named query or per group that belongs in one transaction.

| module | what it serves |
| --- | --- |
| `log` | the workers: positions, fences, and what a batch of log entries changes |
| `loading` | what a batch reads before it writes |
| `reads` | people: conversations, messages, inboxes, settings |
| `care` | staff and timers: dead letters, verification, what is to be removed |
| `rows` | rows and the values that they become |
"""
