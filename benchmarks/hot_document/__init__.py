"""The hot document: the home screen, answered by the gateway and by other GraphQL servers from the same gRPC backend.

| file | process |
| --- | --- |
| `backend.py` | the backend: canned replies over HTTP/2, so cheap that it is never the limit |
| `server.py` | the gateway as it runs in production, and stock Strawberry over the gateway's schema |
| `rivals/` | Apollo Server, Mercurius with JIT |
| `http_load.py` | connections that ask, in the process of the benchmark |
"""
