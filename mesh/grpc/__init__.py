"""gRPC between services: what a mesh owes its callers, through grpcio's own means.

| module | what it gives |
| --- | --- |
| `status` | an error of the tree <-> a status with `google.rpc.ErrorInfo` |
| `server` | a server with mutual TLS, callers by method, shedding, health, drain |
| `calls` | what the server does around every call |
| `client` | channels with deadlines that shrink, retries with a budget, balancing |
| `tls` | credentials of both sides from one certificate |
"""
