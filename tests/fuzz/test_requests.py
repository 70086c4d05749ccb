"""Requests made up from the schema, over HTTP to a live process: answered, quickly, and never at another's cost.

`make fuzz` asks 20,000 of them; the suite a few hundred.
"""

import asyncio
import time
from collections import Counter
from random import Random
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.conftest import Field
from tests.fuzz.documents import OPERATORS, PERSONS, TOLD, Ids, mutation_texts, query_texts, real_mutation, real_query
from tests.fuzz.share import many, rounds, share_of
from tests.ownership import digest_of

REQUESTS = share_of(20_000)
FILLINGS = 2
"""Making a document up takes longer than answering it: each is asked so often, about other things each time."""
SLOWEST_SECONDS = 2.0
ONCE_MORE = 3
"""A document is slow that is slow whenever it is asked: once, the machine may have been busy with something else."""

ROOTS = {"person": PERSONS, "operator": OPERATORS}


class Tally:
    """What became of all requests."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.findings: list[str] = []
        self.slow: list[str] = []
        self.slowest = 0.0

    def note(self, document: str, answer: httpx.Response, seconds: float) -> None:
        """One more answer."""
        told = answer.json() if answer.headers["content-type"].startswith("application/") else {}
        codes = [error["extensions"]["code"] for error in told.get("errors", [])]
        self.counts["asked"] += 1
        self.counts["answered"] += not codes
        self.codes.update(codes)
        self.slowest = max(self.slowest, seconds)
        if document.startswith("mutation"):
            self.counts["mutations"] += 1
            self.counts["changes"] += any(
                root is not None and not root[TOLD] for root in (told.get("data") or {}).values()
            )
        if answer.status_code >= 500 or "INTERNAL" in codes or not told:
            self.findings.append(f"{answer.status_code} {codes}: {document}\n{answer.text[:500]}")
        if seconds > SLOWEST_SECONDS:
            self.slow.append(f"{seconds:.2f} s: {document}")

    def __str__(self) -> str:
        trouble = f"{len(self.findings)} findings, {len(self.slow)} slow, the slowest {self.slowest:.2f} s"
        return f"{dict(self.counts)} {dict(self.codes)} {trouble}"


def post(http: httpx.Client, document: str) -> tuple[httpx.Response, float]:
    """The answer, and how many seconds it took."""
    began = time.monotonic()
    answer = http.post("/graphql", json={"query": document})
    return answer, time.monotonic() - began


def ask_as(who: str, ids: Ids, number: int, tally: Tally, field: Field) -> None:
    """Ask as somebody: two queries for each mutation."""
    texts = st.one_of([*[query_texts(ROOTS[who])] * 2, mutation_texts(ROOTS[who])])
    headers = {"authorization": f"Bearer {field.keys[who]}"}
    with httpx.Client(base_url=field.api.url, headers=headers, timeout=30, trust_env=False) as http:

        @many(number // FILLINGS)
        @given(texts, st.integers(0, 2**32))
        def ask(text: str, seed: int) -> None:
            make_real = real_mutation if text.startswith("mutation") else real_query
            random = Random(seed)  # noqa: S311 - Hypothesis chose it
            for _ in range(FILLINGS):
                document = make_real(text, ids, random)
                answer, seconds = post(http, document)
                for _ in range(ONCE_MORE):
                    if seconds > SLOWEST_SECONDS:
                        seconds = min(seconds, post(http, document)[1])
                tally.note(document, answer, seconds)

        ask()


async def digests(field: Field) -> dict[str, Any]:
    """What belongs to whom does not ask."""
    return {viewer.user.name: await digest_of(field.database, viewer.user.id) for viewer in field.bystanders}


@pytest.mark.slow
async def test_generated_requests_are_answered_and_hurt_nobody(field: Field) -> None:
    """As a person and as an operator: no 5xx, nothing INTERNAL, nothing slow; Ben's and Eve's rows stay as they are."""
    before, tally = await digests(field), Tally()
    for number in rounds(REQUESTS // 2):
        for who in ROOTS:
            await asyncio.to_thread(ask_as, who, await field.ids_for(who), number, tally, field)
        print(tally, flush=True)  # noqa: T201 - `make fuzz` takes a while

    assert tally.findings == []
    assert tally.slow == []
    assert await digests(field) == before
    assert list(field.api.complaints()) == []
    assert tally.counts["answered"] >= tally.counts["asked"] / 2
    assert tally.counts["changes"] >= tally.counts["mutations"] / 20
