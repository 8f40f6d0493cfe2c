"""No secret reaches a log."""

import json
import logging

import pytest
import structlog

from config import logs


@pytest.mark.parametrize("name", ["password", "new_password", "token", "Authorization", "session_key", "api_key"])
def test_values_under_a_telling_name_are_hidden(name):
    assert logs.hide_secrets(None, "info", {name: "hunter2"}) == {name: "(hidden)"}


def test_tokens_and_passwords_in_texts_are_cut():
    event = {"event": "hindsight_abcdef0123456789 at postgres://me:hunter2@db/x"}
    assert logs.hide_secrets(None, "info", event)["event"] == "hindsight_abcdef(hidden) at postgres://me:(hidden)@db/x"


def test_lines_of_any_logger_are_one_json_object_with_the_bound_run():
    setting = logs.build_logging(is_json=True, level="INFO", is_terminal=False)["formatters"]["structured"]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=setting["foreign_pre_chain"], processors=setting["processors"]
    )
    record = logging.LogRecord("x.y", logging.WARNING, "", 0, "claimed by %s", ("worker",), None)
    with structlog.contextvars.bound_contextvars(run_id="7"):
        line = json.loads(formatter.format(record))
    assert (line["event"], line["level"], line["logger"], line["run_id"]) == (
        "claimed by worker",
        "warning",
        "x.y",
        "7",
    )
