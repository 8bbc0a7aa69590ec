"""cli.settings: variables win over the state file; what is missing is named."""

import json
from pathlib import Path

import pytest

from cli.settings import find
from mesh.config import ConfigError

STATE = {
    "environments": {
        "cli": {"HELIOGRAPH_FEED_ADDRESS": "127.0.0.1:1", "HELIOGRAPH_TLS_CERT": "/tls/cli.pem"},
        "feed_svc.serve": {"HELIOGRAPH_LISTEN": "127.0.0.1:1", "HELIOGRAPH_METRICS_LISTEN": "127.0.0.1:2"},
        "gateway.serve": {"HELIOGRAPH_LISTEN": "127.0.0.1:3", "HELIOGRAPH_METRICS_LISTEN": "127.0.0.1:4"},
    },
    "addresses": {"graphql": "http://127.0.0.1:3/graphql"},
    "jwt_private_key": "/jwt/private.pem",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "state.json").write_text(json.dumps(STATE))
    return tmp_path


def test_addresses_and_keys_come_from_the_state_file(folder: Path) -> None:
    settings = find({"HELIOGRAPH_STATE": str(folder)})
    assert settings.need("HELIOGRAPH_FEED_ADDRESS", "x") == "127.0.0.1:1"
    assert settings.need("HELIOGRAPH_JWT_PRIVATE_KEY", "x") == "/jwt/private.pem"


def test_the_address_of_the_api_is_known_while_there_is_a_gateway(folder: Path) -> None:
    assert find({}, folder).need("HELIOGRAPH_GRAPHQL_URL", "x") == "http://127.0.0.1:3/graphql"
    (folder / "state.json").write_text(json.dumps({**STATE, "addresses": {}}))
    with pytest.raises(ConfigError, match="HELIOGRAPH_GRAPHQL_URL is missing"):
        find({}, folder).need("HELIOGRAPH_GRAPHQL_URL", "x")


def test_a_variable_wins_over_the_state_file_and_an_empty_one_does_not(folder: Path) -> None:
    given = {"HELIOGRAPH_FEED_ADDRESS": "feed:443", "HELIOGRAPH_TLS_CERT": ""}
    settings = find(given, folder)
    assert settings.need("HELIOGRAPH_FEED_ADDRESS", "x") == "feed:443"
    assert settings.need("HELIOGRAPH_TLS_CERT", "x") == "/tls/cli.pem"


def test_the_named_folder_wins_over_the_variable(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("empty")
    assert find({"HELIOGRAPH_STATE": str(elsewhere)}, folder).variables["HELIOGRAPH_FEED_ADDRESS"]


def test_without_anything_the_sentence_names_the_variable_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"HELIOGRAPH_DM_ADDRESS is missing; it must be .* make run"):
        find({}, tmp_path).need("HELIOGRAPH_DM_ADDRESS", "the gRPC address of dm_svc")


def test_a_state_file_that_is_not_one_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(ConfigError, match="can't be read"):
        find({}, tmp_path)


def test_metrics_are_where_each_process_serves_them(folder: Path) -> None:
    assert find({}, folder).metrics == {"feed_svc.serve": "127.0.0.1:2", "gateway.serve": "127.0.0.1:3"}


def test_metrics_addresses_can_be_listed(folder: Path) -> None:
    given = {"HELIOGRAPH_METRICS_ADDRESSES": "a=h:1, b=h:2,"}
    assert find(given, folder).metrics == {"a": "h:1", "b": "h:2"}
    with pytest.raises(ConfigError, match="must be a list like"):
        find({"HELIOGRAPH_METRICS_ADDRESSES": "h:1"}, folder)
