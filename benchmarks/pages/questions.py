"""What is asked, as bytes that are ready to send."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, cycle

import orjson

from benchmarks.pages.data import START, Person

_POST = """
    id caption link status scheduledAt publishedAt createdAt version
    targets { id platform status permalink attemptCount account { id handle displayName avatarUrl HOLE } }
    media { id kind url altText width height }
"""
_PAGE = "query Page($from: DateTime!) { posts(first: SIZE, filter: {scheduledFrom: $from}) { nodes { POST } } }"
_PAGE_OF_50 = _PAGE.replace("SIZE", "50")
_MOMENTS = count(time.time_ns() // 1_000 % 100_000_000)
"""Microseconds after the first post: each page begins elsewhere, so that nobody has cached its answer."""


@dataclass(frozen=True)
class Question:
    """One question, asked by all people in turn."""

    letter: str
    title: str
    query: str
    variables: Callable[[Person], dict[str, str]]

    def bodies(self, people: list[Person]) -> Iterator[tuple[Person, bytes]]:
        """Who asks, and the body, endlessly."""
        for person in cycle(people):
            yield person, orjson.dumps({"query": self.query, "variables": self.variables(person)})

    def requests(self, people: list[Person]) -> Iterator[bytes]:
        """Whole HTTP requests, endlessly."""
        for person, body in self.bodies(people):
            yield (
                f"POST /graphql?{self.letter} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Accept: application/json\r\nAuthorization: Bearer {person.token}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode() + body


def _written(query: str, *, hole: str = "") -> str:
    return " ".join(query.replace("POST", _POST).replace("HOLE", hole).split())


def _from(moment: datetime) -> dict[str, str]:
    return {"from": f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"}


def _anew(_: Person) -> dict[str, str]:
    return _from(START + timedelta(microseconds=next(_MOMENTS)))


def _again(_: Person) -> dict[str, str]:
    return _from(START)


QUESTIONS = [
    Question("A", "a calendar page of 50 posts", _written(_PAGE_OF_50), _anew),
    Question("B", "one post", _written("query One($id: ID!) { post(id: $id) { POST } }"), lambda p: {"id": p.post}),
    Question("C", "__typename", "{ __typename }", lambda _: {}),
    Question("D", "100 posts", _written(_PAGE.replace("SIZE", "100")), _anew),
    Question(
        "E",
        "accounts, each with its next 5 posts",
        "query Next($from: DateTime!) { accounts { nodes { id platform handle displayName "
        "posts(first: 5, filter: {scheduledFrom: $from}) { nodes { id caption status scheduledAt } } } } }",
        _anew,
    ),
    Question("F", "A, from a warm cache", _written(_PAGE_OF_50), _again),
    Question("G", "A, with a breaker on every target", _written(_PAGE_OF_50, hole="circuitBreaker { state }"), _anew),
]
