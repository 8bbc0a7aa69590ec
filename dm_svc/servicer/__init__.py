"""gRPC in, use case, gRPC out: no rule, no SQL, no try.

| module | service |
| --- | --- |
| `messages` | heliograph.dm.v1.MessageService |
| `inbox` | heliograph.dm.v1.InboxService |
| `admin` | heliograph.dm.v1.MessageAdminService |
"""
