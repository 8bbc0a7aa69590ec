"""Fixtures for all tests; each file of tests/fixtures is about one server."""

pytest_plugins = [
    "tests.fixtures.stack",
    "tests.fixtures.postgres",
    "tests.fixtures.redis",
    "tests.fixtures.redis_cluster",
    "tests.fixtures.nats",
    "tests.fixtures.s3",
    "tests.fixtures.node",
]
