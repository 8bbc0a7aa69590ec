"""compose.yaml can't be run in every place; that it says what the embedded stack does is checked here."""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest
import yaml

from devstack.rendered import FILES, compose_passwords
from devstack.services import TABLE
from devstack.settings import NATS_MEMORY_LIMIT, POSTGRES_INITDB, S3_FLAGS, S3_MEMORY_LIMIT

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
PROCESSES = [(service, role) for service in TABLE.values() for role in service.roles]


def container_of(service, role):
    return COMPOSE[service.name if role == "serve" else f"{service.name}-{role}"]


def required_variables(shape):
    for field in dataclasses.fields(shape):
        if "env" in field.metadata:
            if field.metadata["required"]:
                yield field.metadata["env"]
        elif dataclasses.is_dataclass(field.type):
            yield from required_variables(field.type)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_servers_configuration_is_what_the_settings_say(path):
    assert path.read_text() == FILES[path], "run python -m devstack render"


@pytest.mark.parametrize(("service", "role"), PROCESSES, ids=lambda value: getattr(value, "name", value))
def test_every_process_runs_in_a_container_with_all_that_it_requires(service, role):
    container = container_of(service, role)

    assert container["command"] == ["python", "-m", service.name, role]
    config = importlib.import_module(f"{service.name}.config").Config
    required = set(required_variables(config))
    assert len(required) > 5
    assert required <= set(container["environment"])


def test_every_service_with_a_database_is_migrated_before_it_starts():
    for service in TABLE.values():
        if service.migrates:
            assert COMPOSE[f"{service.name}-migrate"]["command"] == ["python", "-m", service.name, "migrate"]
            for role in service.roles:
                assert f"{service.name}-migrate" in container_of(service, role)["depends_on"]


def test_every_process_has_a_number_of_its_own():
    nodes = [container_of(service, role)["environment"]["HELIOGRAPH_NODE"] for service, role in PROCESSES]

    assert len(set(nodes)) == len(nodes)


def test_the_servers_get_the_embedded_stacks_arguments():
    assert COMPOSE["postgres"]["environment"]["POSTGRES_INITDB_ARGS"] == " ".join(POSTGRES_INITDB)
    assert COMPOSE["nats"]["environment"]["GOMEMLIMIT"] == NATS_MEMORY_LIMIT
    assert COMPOSE["s3"]["environment"]["GOMEMLIMIT"] == S3_MEMORY_LIMIT
    assert {f"-{name}={value}" for name, value in S3_FLAGS.items()} <= set(COMPOSE["s3"]["command"])


def test_every_mounted_file_exists():
    for container in COMPOSE.values():
        for volume in container.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("./") and source != "./deploy/secrets":
                assert (ROOT / source).exists(), source


def test_the_passwords_that_are_made_are_the_ones_that_are_asked_for():
    asked = set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "compose.yaml").read_text()))

    assert {line.partition("=")[0] for line in compose_passwords().splitlines()} == asked


def test_every_image_has_a_version():
    for container in COMPOSE.values():
        assert container["image"] == "heliograph" or re.search(r":v?\d", container["image"])
