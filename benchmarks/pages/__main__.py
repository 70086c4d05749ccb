"""`make bench`: fill a database, check that all three give the same, then ask in turn and print what it took.

Each figure is the median over interleaved rounds; ratios are of requests per second. Options: `--quick` for a look.
"""

import argparse
import itertools
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import uvloop
from sqlalchemy import make_url

from app.embedded import EmbeddedServers
from app.migrating import migrate_database
from benchmarks.pages import servers
from benchmarks.pages.data import Person, fill
from benchmarks.pages.load import run_load
from benchmarks.pages.questions import QUESTIONS, Question
from benchmarks.pages.report import Figures, Report
from benchmarks.pages.servers import Server, cpu_of

GROWTH_REQUESTS = 100_000
SETTLES_WITHIN = 20
"""Seconds: a process gives memory back every 15."""


def main() -> None:
    """Everything, from nothing."""
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="one short round at 16 connections, no growth")
    options.add_argument("--only", default="ABCDEFG", help="letters of the questions")
    options.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument(
        "--crowded", action="store_true", help="PostgreSQL and the load may use the server's core, too"
    )
    options.add_argument(
        "--python", default=sys.executable, help="Crier's: of an environment with what is shipped alone"
    )
    chosen = options.parse_args()
    questions = [question for question in QUESTIONS if question.letter in chosen.only]
    if not chosen.crowded:
        servers.leave_core()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crier-bench-")))
        own = stack.enter_context(EmbeddedServers(data_dir=folder, durable=False))
        url = make_url(own.database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        print("Filling …", flush=True)
        uvloop.run(migrate_database(own.database_url))
        people = uvloop.run(fill(url))
        contenders = [
            stack.enter_context(servers.by_hand(url)),
            stack.enter_context(servers.crier(url, own.redis_url, folder, python=chosen.python)),
            stack.enter_context(servers.by_orm(url)),
        ]
        report = Report(contenders)
        for question in questions:
            check(question, people, contenders)
        widths = (16,) if chosen.quick else (1, 16, 64)
        rounds = 1 if chosen.quick else chosen.rounds
        for question, width in itertools.product(questions, widths):
            for _ in range(rounds):
                for server in contenders:
                    report.note(question, width, server, measure(question, people, server, width, chosen.seconds))
            report.print_question(question, width)
        report.print_ratios()
        if not chosen.quick:
            print_growth(contenders[1], people)


def check(question: Question, people: list[Person], contenders: list[Server]) -> None:
    """All give the same answer; the limit and the ORM have no breakers."""
    answers = []
    person, body = next(question.bodies(people))
    headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/json"}
    for server in contenders:
        if server.name == "by hand" and question.letter == "G":
            continue
        url = f"http://127.0.0.1:{server.port}/graphql?{question.letter}"
        answer = httpx.post(url, content=body, headers=headers).raise_for_status().json()
        assert "errors" not in answer, answer
        answers.append(_without_dates(answer["data"]))
    assert all(answer == answers[0] for answer in answers), (question.letter, answers)


def _without_dates(value: object) -> object:
    """The ORM's dates are Strawberry's usual ones, which write the same moment otherwise."""
    if isinstance(value, dict):
        return {
            name: inner is not None if name.endswith("At") else _without_dates(inner) for name, inner in value.items()
        }
    return [_without_dates(inner) for inner in value] if isinstance(value, list) else value


def measure(question: Question, people: list[Person], server: Server, width: int, seconds: float) -> Figures:
    """One round of one question."""
    asked = question if server.name != "by hand" or question.letter != "G" else QUESTIONS[0]
    requests = asked.requests(people)
    if question.letter == "F" and server.name == "crier":
        warm_up(question, people, server)
    postgres = _postgres()
    before = server.cpu(), cpu_of(postgres)
    times = uvloop.run(run_load(server.port, requests, connections=width, seconds=seconds))
    after = server.cpu(), cpu_of(postgres)
    return Figures.of(times, seconds, server=after[0] - before[0], postgres=after[1] - before[1])


def warm_up(question: Question, people: list[Person], server: Server) -> None:
    """Ask for everybody's page until it is kept, which it is from the second time on."""
    requests, missing = question.requests(people), 3 * len(people)
    while missing > 0:
        missing -= len(uvloop.run(run_load(server.port, requests, connections=4, seconds=1)))


def print_growth(server: Server, people: list[Person]) -> None:
    """Memory over many requests of all kinds."""
    print("\nResident memory of the Crier process (MB), all questions in turn:", flush=True)
    asked, per_round = 0, 2.0
    while asked < GROWTH_REQUESTS:
        for question in QUESTIONS:
            asked += len(
                uvloop.run(run_load(server.port, question.requests(people), connections=16, seconds=per_round))
            )
        print(f"  after {asked:7} more requests: {server.megabytes():.0f}", flush=True)
    time.sleep(SETTLES_WITHIN)
    print(f"  {SETTLES_WITHIN} s later: {server.megabytes():.0f}", flush=True)


def _postgres() -> psutil.Process:
    """The child of this process that is PostgreSQL."""
    children = psutil.Process().children()
    return next(child for child in children if "postgres" in child.name())


if __name__ == "__main__":
    main()
