"""Programs that the tests of devstack run."""

from pathlib import Path

from devstack.services import Service

FAKE = Service("fake_svc", folder=Path(__file__).parent)
"""A service as the stack runs it, with a database and both roles."""
