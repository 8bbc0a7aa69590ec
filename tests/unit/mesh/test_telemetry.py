"""mesh.telemetry: one request id on every hop, and no secret in a log."""

import json
import re

import pytest
import structlog

from mesh import telemetry
from mesh.config import DEVELOPMENT, PRODUCTION

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def _fresh_context():
    token = telemetry.request_id.set("")
    yield
    telemetry.request_id.reset(token)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def log(request, capsys, monkeypatch):
    """A logger set up as in a process, and what it wrote."""

    def set_up(environment):
        # capsys stands for standard error only now, so the logger must be made now.
        telemetry.set_up_logging(environment, "feed_svc.serve")
        return telemetry.get_logger("test"), lambda: capsys.readouterr().err

    return set_up


def fail_with_secrets():
    token = "canary-token"  # a local variable
    caption = "canary-caption"
    raise ValueError(f"row refused\nDETAIL:  Failing row contains ({token}, {caption}).")


def test_a_callers_trace_is_adopted_and_passed_on_with_a_fresh_span():
    assert telemetry.adopt(f"00-{TRACE}-b7ad6b7169203331-01") == TRACE
    first, second = telemetry.traceparent(), telemetry.traceparent()
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", first)
    assert first != second


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        "00-short-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{'G' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        f"00-{TRACE}",
    ],
)
def test_a_malformed_trace_is_replaced_by_a_fresh_one(header):
    adopted = telemetry.adopt(header)
    assert re.fullmatch(r"[0-9a-f]{32}", adopted)
    assert adopted != "0" * 32
    assert telemetry.request_id.get() == adopted


def test_a_process_without_a_request_still_sends_a_valid_trace():
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", telemetry.traceparent())


def test_a_line_in_production_is_one_json_object_with_request_process_and_module(log):
    logger, written = log(PRODUCTION)
    telemetry.request_id.set(TRACE)
    logger.info("post_created", post_id=7)
    line = json.loads(written())
    assert line["event"] == "post_created"
    assert line["post_id"] == 7
    assert line["request_id"] == TRACE
    assert line["process"] == "feed_svc.serve"
    assert line["module"] == "test"
    assert line["level"] == "info"


@pytest.mark.parametrize("environment", [DEVELOPMENT, PRODUCTION])
def test_a_logged_exception_shows_neither_local_variables_nor_the_row_that_a_server_quotes(log, environment):
    logger, written = log(environment)
    try:
        fail_with_secrets()
    except ValueError:
        logger.exception("call_failed")
    output = written()
    assert "canary" not in output
    assert "ValueError: row refused" in output
    assert "fail_with_secrets" in output


@pytest.mark.parametrize("environment", [DEVELOPMENT, PRODUCTION])
def test_secrets_stay_hidden_in_causes_and_in_groups(log, environment):
    logger, written = log(environment)
    try:
        try:
            fail_with_secrets()
        except ValueError as error:
            raise ExceptionGroup("two", [RuntimeError("one\ncanary"), KeyError("other")]) from error
    except ExceptionGroup:
        logger.exception("call_failed")
    output = written()
    assert "canary" not in output
    for shown in ("ValueError: row refused", "ExceptionGroup: two", "RuntimeError: one", "KeyError: 'other'"):
        assert shown in output


def test_an_error_without_an_exception_logs_no_traceback(log):
    logger, written = log(PRODUCTION)
    logger.error("loop_died", exc_info=None)
    assert "exception" not in json.loads(written())
