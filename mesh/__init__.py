"""The shared runtime of the service mesh. It knows transports and stores, and no product noun.

| module | what it gives |
| --- | --- |
| `config` | settings from the environment, every mistake reported at once |
| `errors` | one error tree that survives every hop |
| `clock`, `ids`, `cursor` | time, 64-bit time-ordered ids, signed page cursors |
| `lifecycle` | start in order, signals, drain, stop in reverse |
| `telemetry`, `health` | logs with a request id, metrics, readiness per dependency |
| `postgres`, `queries`, `migrations`, `outbox` | pool, named SQL, schema steps, transactional outbox |
| `redis`, `jetstream`, `objectstore` | the other three stores |
| `periodic` | jobs that run again and again |
| `auth` | who is calling: tokens of people, certificates of services |
| `grpc` | server and client: deadlines, retries, mutual TLS, shedding, drain |
"""
