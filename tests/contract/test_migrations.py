"""The steps of every component: named, explained, and such that old code goes on working while new code starts."""

import re

import pytest

from devstack.settings import SERVICES
from mesh import migrations, outbox

COMPONENTS = [outbox.COMPONENT, *SERVICES]
STEPS = [step for component in COMPONENTS for step in migrations.find(component)]


def name_of(step: migrations.Migration) -> str:
    return f"{step.component}-{step.number:04}_{step.name}"


def statements(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_has_a_first_step(component: str) -> None:
    assert migrations.find(component)[0].number == 1


@pytest.mark.parametrize("step", STEPS, ids=name_of)
def test_a_step_begins_with_what_it_is_for(step: migrations.Migration) -> None:
    assert re.match(r"-- \S+", step.sql)


@pytest.mark.parametrize("step", STEPS, ids=name_of)
def test_no_step_takes_away_what_the_code_before_it_uses(step: migrations.Migration) -> None:
    taking = (
        r"\b(DROP\s+(?!DEFAULT|NOT\s+NULL|INDEX)\w+|RENAME|TRUNCATE"
        r"|ALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE|SET\s+NOT\s+NULL)\b"
    )
    assert not re.findall(taking, statements(step.sql), re.IGNORECASE)


@pytest.mark.parametrize("step", STEPS, ids=name_of)
def test_no_step_runs_twice_by_accident_or_hides_that_it_did(step: migrations.Migration) -> None:
    assert "IF NOT EXISTS" not in statements(step.sql).upper()
