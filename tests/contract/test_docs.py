"""What the documents name is there: files, links, commands."""

import re
from pathlib import Path

import pytest

from cli.main import parser

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("[!.]*/README.md")])
TOP_FOLDERS = {entry.name for entry in ROOT.iterdir() if entry.is_dir()}
MADE_BY_COMMANDS = {"gen", ".venv", ".heliograph"}


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    named = re.findall(r"`([\w.-]+(?:/[\w.*-]+)+/?)`", document.read_text())
    missing = [
        path for path in named if path.split("/")[0] in TOP_FOLDERS - MADE_BY_COMMANDS and not list(ROOT.glob(path))
    ]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert not [link for link in links if not (document.parent / link).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_make_target_that_a_document_names_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_heliograph_command_that_a_document_names_exists(document: Path) -> None:
    nouns = next(action for action in parser()._actions if action.dest == "==SUPPRESS==" or action.choices)
    for noun, verb in re.findall(r"(?:`|bin/)heliograph ([a-z]+)(?: ([a-z-]+))?", document.read_text()):
        assert noun in nouns.choices, f"heliograph {noun}"
        verbs = next((action for action in nouns.choices[noun]._actions if action.choices), None)
        if verb and verbs is not None:
            assert verb in verbs.choices, f"heliograph {noun} {verb}"


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()
    assert [
        page.name for page in sorted((ROOT / "docs" / "adr").glob("0*.md")) if f"]({page.name})" not in listed
    ] == []


def test_every_test_that_guarantees_names_for_a_promise_bears_its_id() -> None:
    unproven = []
    for row in (ROOT / "docs" / "guarantees.md").read_text().splitlines():
        if match := re.match(r"\| ([A-Z]\d) \|", row):
            shown_by = row.split("|")[3]
            for path in re.findall(r"`(tests/(?:unit|contract|integration|e2e)/[^`]+)`", shown_by):
                if not re.search(rf"def test_(?:\w+_)?{match[1]}_", (ROOT / path).read_text()):
                    unproven.append(f"{match[1]}: {path}")
    assert not unproven
