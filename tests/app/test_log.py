"""Logs: JSON lines that hold no secret, whoever logs."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.log import _HARMLESS, _SECRET_SHAPES, HIDDEN, drop_empty, redact
from services.domain.credentials import mint_api_key

TOKEN = mint_api_key().token
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


@pytest.mark.parametrize(
    ("event", "hidden"),
    [
        ({"authorization": "Basic abc"}, "Basic abc"),
        ({"headers": {"Authorization": "Bearer abc"}}, "abc"),
        ({"access_token": "abc123"}, "abc123"),
        ({"client_secret": ["abc123"]}, "abc123"),
        ({"password": b"abc123"}, "abc123"),
        ({"event": f"sent {TOKEN} away"}, TOKEN),
        ({"exception": f"Traceback …\nRuntimeError: {JWT}"}, JWT),
        ({"url": "https://graph/me?fields=id&access_token=EAAB123"}, "EAAB123"),
        ({"url": "postgresql://crier:hunter2@db/crier"}, "hunter2"),
        ({"seen": ["Authorization: Bearer abc.def"]}, "abc.def"),
        ({"error": RuntimeError(f"bad key {TOKEN}")}, TOKEN),
    ],
)
def test_secret_is_hidden_by_name_or_by_shape(event: dict[str, Any], hidden: str) -> None:
    """At any depth, in any type."""
    text = repr(redact(None, "info", dict(event)))
    assert hidden not in text
    assert HIDDEN in text


def test_what_is_no_secret_stays(event: dict[str, Any] | None = None) -> None:
    """Numbers, lists, words that only sound alike."""
    event = {"event": "request", "ms": 1.5, "codes": ["TIMEOUT"], "tokens": 12, "path": "/oauth/x/callback", "ok": True}
    assert redact(None, "info", dict(event)) == event


def test_what_has_no_value_is_not_shown_to_people() -> None:
    """`code=None` on each line of what went well."""
    assert drop_empty(None, "info", {"event": "publish.ended", "code": None, "n": 0}) == {
        "event": "publish.ended",
        "n": 0,
    }


@given(st.dictionaries(TEXTS, TEXTS | st.integers() | st.lists(TEXTS)), TEXTS, TEXTS)
def test_key_in_any_text_anywhere_is_hidden(fields: dict[str, Any], before: str, after: str) -> None:
    """Whatever stands around it."""
    text = repr(redact(None, "info", {**fields, "x": {"y": [f"{before}{TOKEN}{after}"]}}))
    assert TOKEN not in text
    assert TOKEN[-64:] not in text


@given(
    st.lists(st.sampled_from(["eyJ", "crier", "Bearer", "token", "secret", "code", "://", ":", "-", "/", "a1", "9F"]))
)
def test_what_is_not_looked_through_holds_no_secret(parts: list[str]) -> None:
    """The signs of a harmless text alone make none of the shapes, whatever words they spell."""
    text = "".join(parts)
    assert _HARMLESS.fullmatch(text)
    assert not _SECRET_SHAPES.search(text)


def test_process_logs_json_lines_whoever_logs() -> None:
    """Structlog and logging alike, with correlation id and traceback, and nothing hidden comes through."""
    program = f"""
import logging, structlog
from app.log import configure_logging
configure_logging(log_format="json")
structlog.contextvars.bind_contextvars(correlation_id="c-1")
structlog.get_logger("ours").info("happened", number=1, token="abc")
logging.getLogger("theirs").warning("at %s", "{TOKEN}", extra={{"more": 2}})
logging.getLogger("uvicorn.access").info("GET /")
try:
    raise RuntimeError("{TOKEN}")
except RuntimeError:
    structlog.get_logger().exception("broke")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("happened", "info"),
        (f"at {HIDDEN}", "warning"),
        ("broke", "error"),
    ]
    assert {line["correlation_id"] for line in lines} == {"c-1"}
    assert (lines[0]["number"], lines[0]["token"], lines[1]["more"]) == (1, HIDDEN, 2)
    assert "RuntimeError" in lines[2]["exception"]
    assert TOKEN not in done.stderr
