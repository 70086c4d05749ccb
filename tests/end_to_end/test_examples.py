"""Every example in the README and the guides does what it says, in the order in which a reader tries them."""

import json
import re
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import OperationDefinitionNode, OperationType, parse
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.end_to_end.local_run import ROOT, LocalRun, start_local_run
from tests.examples import Example, Known, differences, fits, read_examples
from tests.media_files import a_picture

pytestmark = pytest.mark.slow

GUIDES = ("README.md", "schema/GUIDE.md")
PATIENCE = 30.0

PROVEN_ELSEWHERE = {
    r"make \w+": "the targets are a line each; what they start is what these tests use",
    r"export .*": "placeholders only; tests/app/test_settings.py",
    r"\.venv/bin/python -m app migrate": "tests/migrations",
    r"\.venv/bin/python -m app keys create .*": "tests/app/test_cli.py",
    r"\.venv/bin/python -m app (serve|worker)": "tests/end_to_end/test_shutdown.py",
}
"""Commands that are not run here, and where what they do is proven."""


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRun]:
    """One Crier as `make run` starts it."""
    with tempfile.TemporaryDirectory(prefix="crier-examples-") as parent:
        Path(parent).chmod(0o755)
        run = start_local_run(Path(parent) / "data")
        try:
            yield run
        finally:
            run.stop()
            run.end()


@pytest.mark.parametrize("guide", GUIDES)
def test_every_example_does_what_it_says(run: LocalRun, tmp_path: Path, guide: str) -> None:
    """Commands in a shell as they stand, operations over HTTP and sockets; answers as shown."""
    examples = read_examples(ROOT / guide)
    assert len(examples) >= 5
    reader = Reader(run, a_checkout(tmp_path, run))
    for example in examples:
        try:
            reader.do(example)
        except AssertionError as failure:
            raise AssertionError(f"{guide}:{example.line}: {failure}") from failure


def test_every_file_with_examples_is_tried() -> None:
    """A new guide is tried, too."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tried = re.compile(r"^```graphql$|^\$ curl ", re.MULTILINE)
    assert {name for name in listed.split() if tried.search((ROOT / name).read_text())} <= set(GUIDES)


def a_checkout(folder: Path, run: LocalRun) -> Path:
    """A folder that looks like the repository of somebody who has just run `make run`, and owns a picture."""
    for child in ROOT.iterdir():
        if child.name not in (".crier", ".git", ".env"):
            (folder / child.name).symlink_to(child)
    (folder / ".crier").symlink_to(run.folder)
    (folder / "photo.jpg").write_bytes(a_picture())
    return folder


class Reader:
    """Somebody who tries what they read."""

    def __init__(self, run: LocalRun, folder: Path) -> None:
        self._run = run
        self._folder = folder
        self._known = Known()

    def do(self, example: Example) -> None:
        """Try one example."""
        if example.language == "graphql":
            self._check(example, self._ask(example))
            return
        for command in example.commands():
            if not any(re.fullmatch(pattern, command) for pattern in PROVEN_ELSEWHERE):
                self._type(example, self._known.fill(self._here(command)))

    def _here(self, text: str) -> str:
        """What a guide says, on this server."""
        text = text.replace("http://127.0.0.1:8000", self._run.url)
        return text.replace("http://127.0.0.1:8001", self._run.sandbox_url)

    def _type(self, example: Example, command: str) -> None:
        need_curl(command)
        if re.search(r"curl -\w*N", command):
            printed = first_lines(command, self._folder, len(example.printed))
        else:
            ended = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self._folder,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert ended.returncode == 0, f"`{command}` said {ended.stderr}"
            printed = ended.stdout.splitlines()
        wanted = [self._here(line) for line in example.printed]
        assert not missing_lines(wanted, printed), f"`{command}` printed {printed}"
        if not wanted and command.startswith("curl"):
            self._check(example, json.loads("".join(printed)))

    def _ask(self, example: Example) -> Any:
        variables = json.loads(self._known.fill(self._here(json.dumps(example.variables, ensure_ascii=False))))
        operation = next(node for node in parse(example.text).definitions if isinstance(node, OperationDefinitionNode))
        payload = {"query": example.text, "variables": variables}
        if operation.operation is OperationType.SUBSCRIPTION:
            return first_event(self._run, payload)
        headers = {"authorization": f"Bearer {self._run.token()}"}
        return httpx.post(f"{self._run.url}/graphql", json=payload, headers=headers, trust_env=False, timeout=30).json()

    def _check(self, example: Example, answer: Any) -> None:
        self._known.note(answer)
        if example.answer is None:
            assert "errors" not in answer, answer
            assert '"code"' not in json.dumps(answer), f"an error that the example does not show: {answer}"
            return
        expected = json.loads(self._here(json.dumps(example.answer, ensure_ascii=False)))
        if "extensions" not in expected:
            answer.pop("extensions", None)  # what it cost; the guide says so once
        found = differences(expected, answer)
        assert not found, "\n".join(found)


def need_curl(command: str) -> None:
    """A skip that nobody overlooks where a machine has none."""
    if command.startswith("curl") and shutil.which("curl") is None:
        missing = "no curl on this machine: the guides' examples are NOT tested"
        warnings.warn(pytest.PytestWarning(missing), stacklevel=2)
        pytest.skip(missing)


def first_lines(command: str, folder: Path, number: int) -> list[str]:
    """What a command that does not end by itself prints at first."""
    with subprocess.Popen(
        ["/bin/sh", "-c", f"exec {command}"], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        give_up_at = time.monotonic() + PATIENCE
        lines = []
        while len(lines) < number and time.monotonic() < give_up_at:
            lines.append(process.stdout.readline().rstrip("\n"))
        process.kill()
    return lines


def missing_lines(wanted: list[str], printed: list[str]) -> list[str]:
    """Lines that were to be printed and were not, in whatever order."""
    return [line for line in wanted if not any(fits(line, told) for told in printed)]


def first_event(run: LocalRun, payload: dict[str, Any]) -> Any:
    """What a subscription tells first."""
    address = run.url.replace("http", "ws", 1) + "/graphql"
    with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {run.token()}"}}))
        assert json.loads(socket.recv(PATIENCE))["type"] == "connection_ack"
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        message = json.loads(socket.recv(PATIENCE))
    assert message["type"] == "next", message
    return message["payload"]


@pytest.mark.parametrize(
    ("shown", "told", "is_so"),
    [
        ({"a": "acct_…"}, {"a": "acct_1"}, True),
        ({"a": "acct_…"}, {"a": "post_1"}, False),
        ({"a": "…"}, {"a": None}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": [1]}, {"a": []}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": {"b": ["x.y"]}}, {"a": {"b": ["xzy"]}}, False),
        ("r=…;t=…", "r=5;t=6", True),
    ],
)
def test_an_answer_that_is_another_is_noticed(shown: object, told: object, is_so: bool) -> None:
    """Only what is shown as `…` may differ."""
    assert (differences(shown, told) == []) is is_so
