"""The command line: exit statuses, errors as sentences, output."""

import json
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from cli import main as entry
from cli.main import main, sentence
from cli.output import as_json, table, table_lines, when, word
from heliograph.feed.v1.feed_service_pb2 import FeedDropRule, TimelineState
from heliograph.feed.v1.user_pb2 import User
from mesh.errors import NotFound, Unavailable


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HELIOGRAPH_FEED_ADDRESS", "HELIOGRAPH_TLS_CERT", "HELIOGRAPH_METRICS_ADDRESSES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HELIOGRAPH_STATE", str(tmp_path))


@pytest.mark.parametrize("arguments", [["user", "create", "ada"], ["top", "--once"], ["token", "42"]])
def test_missing_settings_are_a_sentence_and_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("heliograph: ")
    assert "make run" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["user"], ["user", "create"], ["policy", "set", "--rollout-percent", "x"]]
)
def test_wrong_arguments_are_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2


@pytest.mark.parametrize(
    "command",
    [
        "address", "user create", "user show", "token", "policy get", "policy set", "policy advise", "feed explain",
        "feed verify", "feed rebuild", "feed dead-letters", "story reconcile", "story expire", "story show",
        "story hold", "story release", "media reconcile", "dm verify", "dm dead-letters", "top",
    ],
)  # fmt: skip
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*command.split(), "--help"])
    assert left.value.code == 0
    assert f"usage: heliograph {command}" in capsys.readouterr().out


def test_an_error_of_a_service_is_a_sentence_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class UserNotFound(NotFound):
        reason = "USER_NOT_FOUND"
        message = "there is no such user"

    async def fail(_: object) -> int:
        raise UserNotFound(username="ada")

    monkeypatch.setattr(entry, "_run", fail)
    assert main(["user", "show", "ada"]) == 1
    assert capsys.readouterr().err == "heliograph: there is no such user [USER_NOT_FOUND; username: ada]\n"


def test_a_service_that_does_not_answer_hints_at_the_system() -> None:
    assert sentence(Unavailable()).endswith("[UNAVAILABLE] Is the system running? (make run)")


def test_a_table_aligns_words_left_and_numbers_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert table_lines(["name", "count"], [["a", 5], ["long", 123]]) == ["name  count", "a         5", "long    123"]
    table(["name"], [], empty="There is none.")
    assert capsys.readouterr().out == "There is none.\n"


def test_json_has_the_names_of_the_protos_and_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    as_json(User(user_id=2**53 + 1, username="ada"))
    printed = json.loads(capsys.readouterr().out)
    assert printed["user_id"] == str(2**53 + 1)
    assert printed["follower_count"] == "0"


def test_times_and_enums_are_words() -> None:
    state = TimelineState(floor_time=Timestamp(seconds=1_780_000_000, nanos=5_000_000))
    assert when(state, "floor_time") == "2026-05-28T20:26:40.005Z"
    assert when(state, "build_time") == "-"
    assert word(FeedDropRule, FeedDropRule.FEED_DROP_RULE_BLOCKED, "FEED_DROP_RULE_") == "blocked"
    assert word(FeedDropRule, FeedDropRule.FEED_DROP_RULE_UNSPECIFIED, "FEED_DROP_RULE_") == "-"
