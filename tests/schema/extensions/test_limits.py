"""What could cost too much is refused before it costs anything."""

import asyncio
import gc
import re
import time
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import FieldNode, GraphQLError, get_introspection_query, parse
from strawberry.types.execution import ExecutionResult

from schema.documents import DocumentCache, DocumentLimits, QueryTooComplex
from schema.extensions.limits import COST
from schema.parsing import parse_document
from services.domain.errors import RateLimited
from services.domain.ids import new_id
from services.domain.limits import Spending
from services.domain.viewers import Role, Scope, User, Viewer
from tests.app.edge.small_edge import SmallContext, small_schema

Run = Callable[..., Awaitable[ExecutionResult]]


def a_context() -> SmallContext:
    """Nobody's, without a database."""
    return SmallContext(database=None, viewer=None, correlation_id="c")  # type: ignore[arg-type]  # never touched


def code_of(result: ExecutionResult) -> str:
    """The code of the first error."""
    assert result.errors
    return str((result.errors[0].extensions or {})["code"])


REFUSED = {
    "characters": "{quick}" + " " * 32_000,
    "lines": "{quick}" + "\n" * 2_001,
    "carriage returns": "{quick}" + "\r" * 2_001,
    "fields in the text": "{" + "...{" + "number " * 801 + "}}",
    "literals": "{item(number: [" + "1 " * 251 + "]) {number}}",
    "tokens": "{item(" + "a:1 " * 600 + ") {number}}",
    "operations": " ".join(f"query Q{n} {{quick}}" for n in range(51)),
    "fragments": "{quick} " + " ".join(f"fragment F{n} on Query {{quick}}" for n in range(201)),
    "spreads": "{" + "...F " * 251 + "}",
    "variables": f"query ({' '.join(f'$v{n}: Int' for n in range(101))}) {{quick}}",
    "aliases of all operations": " ".join(f"query Q{n} {{a: quick b: quick c: quick}}" for n in range(34)),
    "directives of all operations": " ".join(f"query Q{n} {{quick {'@skip(if: true) ' * 3}}}" for n in range(34)),
    "introspection": "{" + " ".join(f"a{n}: __schema {{types {{name}}}}" for n in range(3)) + "}",
    "types": "{"
    + " ".join(f'a{n}: __type(name: "Item") {{fields {{type {{fields {{type {{name}}}}}}}}}}' for n in range(20))
    + "}",
    "hundred thousand tokens": "{" + "quick " * 100_000 + "}",
    "depth": "{item " + "{items " * 20 + "{number}" + "}" * 20 + "}",
    "root fields": "{" + " ".join(f"a{n}: quick" for n in range(21)) + "}",
    "aliases": "{item {" + " ".join(f"a{n}: number" for n in range(101)) + "}}",
    "directives": "{quick " + "@skip(if: false) " * 101 + "}",
    "aliases in fragments": "{"
    + " ".join(f"a{n}: item {{...F}}" for n in range(4))
    + "} fragment F on Item {"
    + " ".join(f"b{n}: number" for n in range(30))
    + "}",
    "directives in fragments": "{"
    + " ".join(f"a{n}: item {{...F}}" for n in range(4))
    + "} fragment F on Item {number "
    + "@skip(if: false) " * 30
    + "}",
    "repeated fields": "{" + "item {number} " * 450 + "}",
    "repeated leaves": "{item {" + "number " * 1_500 + "}}",
    "bomb": "{item {...F0}} "
    + " ".join(f"fragment F{n} on Item {{...F{n + 1} ...F{n + 1}}}" for n in range(150))
    + " fragment F150 on Item {number}",
    "long bomb": "{item {...F0}} "
    + " ".join(f"fragment F{n} on Item {{...F{n + 1} ...F{n + 1}}}" for n in range(2_000))
    + " fragment F2000 on Item {number}",
    "operations and fragments": "".join(
        f"query Q{n} {{...F{n}}} fragment F{n} on Query {{quick ...F{n + 1}}} " for n in range(90)
    )
    + "fragment F90 on Query {quick}",
    "nested lists": "{items(first: 100) {edges {node {items(first: 100) {items(first: 100) {number}}}}}}",
}


@pytest.mark.parametrize("what", REFUSED)
async def test_document_that_asks_too_much_is_refused(what: str) -> None:
    """With QUERY_TOO_COMPLEX, and within a second even on a busy machine; nothing was run."""
    context = a_context()
    began = time.process_time()
    result = await small_schema().execute(
        REFUSED[what], operation_name="Q1" if "op" in what else None, context_value=context
    )
    assert time.process_time() - began < 1
    assert code_of(result) == "QUERY_TOO_COMPLEX"
    assert result.data is None
    assert COST not in context.extras


async def test_refusal_names_what_is_asked_and_what_is_allowed() -> None:
    """So that the client can ask for less."""
    schema = small_schema(limits=DocumentLimits(cost=100, depth=2))
    result = await schema.execute("{items(first: 60) {edges {node {number}}}}", context_value=a_context())
    assert result.errors
    assert "has 4 levels of fields; 2 are allowed" in result.errors[0].message
    schema = small_schema(limits=DocumentLimits(cost=100))
    result = await schema.execute("{items(first: 60) {edges {node {number}}}}", context_value=a_context())
    assert result.errors
    assert "cost is 121, for it may read so many objects; 100 is the limit" in result.errors[0].message


async def test_cost_is_judged_with_the_variables_of_the_request() -> None:
    """The same document is cheap or dear; that it was seen before changes nothing."""
    schema = small_schema(limits=DocumentLimits(cost=100))
    query = "query ($n: Int) {items(first: $n) {edges {node {number}}}}"
    for size, is_allowed in ((10, True), (60, False), (10, True), (60, False), (49, True)):
        context = a_context()
        result = await schema.execute(query, variable_values={"n": size}, context_value=context)
        assert (result.errors is None) is is_allowed
        assert context.extras.get(COST) == (1 + 2 * size if is_allowed else None)


async def test_only_the_chosen_operation_is_priced() -> None:
    """Of several in one document."""
    schema = small_schema(limits=DocumentLimits(cost=100))
    query = "query Cheap {quick} query Dear {items(first: 90) {edges {node {number}}}}"
    assert (await schema.execute(query, operation_name="Cheap", context_value=a_context())).errors is None
    assert code_of(await schema.execute(query, operation_name="Dear", context_value=a_context())) == "QUERY_TOO_COMPLEX"


async def test_introspection_as_tools_send_it_is_allowed() -> None:
    """With everything that graphql-core can ask for."""
    query = get_introspection_query(
        descriptions=True, specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    )
    result = await small_schema().execute(query, context_value=a_context())
    assert result.errors is None


async def test_known_document_is_neither_parsed_nor_validated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Valid ones and invalid ones; unless others pushed it out."""
    prepared: list[str] = []
    original = DocumentCache.prepare

    def prepare(self: DocumentCache, text: str, *rest: Any) -> Any:
        prepared.append(text)
        return original(self, text, *rest)

    monkeypatch.setattr(DocumentCache, "prepare", prepare)
    schema = small_schema()
    for _ in range(3):
        assert (await schema.execute("{quick}", context_value=a_context())).data == {"quick": "done"}
        assert code_of(await schema.execute("{nope}", context_value=a_context())) == "VALIDATION_FAILED"
    assert prepared == ["{quick}", "{nope}"]
    for n in range(600):
        await schema.execute(f"{{a{n}: quick}}", context_value=a_context())
    await schema.execute("{quick}", context_value=a_context())
    assert prepared.count("{quick}") == 2


async def test_no_two_new_documents_are_looked_at_in_one_turn_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for something else is seen to between them; those that are refused included."""
    turns: list[int] = []
    turn = 0
    original = DocumentCache.prepare

    def tick() -> None:
        nonlocal turn
        turn += 1
        asyncio.get_running_loop().call_soon(tick)

    def prepare(self: DocumentCache, *given: Any) -> Any:
        turns.append(turn)
        return original(self, *given)

    monkeypatch.setattr(DocumentCache, "prepare", prepare)
    schema = small_schema()
    tick()
    texts = [f"{{a{n}: {name}}}" for n in range(5) for name in ("quick", "nope")]
    await asyncio.gather(*(schema.execute(text, context_value=a_context()) for text in texts))
    assert len(set(turns)) == len(texts)


LIMITS = (
    ("characters", DocumentLimits(characters=6)),
    ("lines", DocumentLimits(lines=0)),
    ("operations", DocumentLimits(operations=0)),
    ("fragments", DocumentLimits(fragments=0)),
    ("variables", DocumentLimits(variables=0)),
    ("spreads of fragments", DocumentLimits(spreads=0)),
    ("fields in its text", DocumentLimits(written=0)),
    ("levels of fields", DocumentLimits(depth=0)),
    ("root fields", DocumentLimits(root_fields=0)),
    ("values in lists and objects", DocumentLimits(literals=0)),
    ("fields", DocumentLimits(fields=0)),
    ("aliases", DocumentLimits(aliases=0)),
    ("directives", DocumentLimits(directives=0)),
    ("comparisons of repeated fields", DocumentLimits(comparisons=0)),
    ("operations times fragments", DocumentLimits(reach=0)),
)


@pytest.mark.parametrize(("name", "limits"), LIMITS, ids=[name for name, _ in LIMITS])
async def test_every_limit_refuses_naming_itself(name: str, limits: DocumentLimits) -> None:
    """What there is, and how much of it may be."""
    document = (
        "query Q($v: Int) {quick a: quick\nquick @skip(if: true) b: quick(of: [1]) ...F} fragment F on Query {quick}"
    )
    result = await small_schema(limits=limits).execute(document, context_value=a_context())
    assert code_of(result) == "QUERY_TOO_COMPLEX"
    assert result.errors
    counted, cut_short = rf"\d+ {name}; \d+ are allowed", rf"more than \d+ {name}, which is the most"
    assert re.fullmatch(rf"The document has ({counted}|{cut_short})\.", result.errors[0].message)


async def test_variables_that_bring_too_much_are_refused_before_anything_is_read() -> None:
    """However deep it lies; what is allowed still costs, beyond what an ordinary post takes."""
    schema = small_schema(limits=DocumentLimits(values=300))
    for variables in (
        {f"n{n}": 1 for n in range(301)},
        {f"n{n}": [1] * 100 for n in range(3)},
        {"n": [{"a": [[1] * 40]}] * 10},
    ):
        result = await schema.execute("{", variable_values=variables, context_value=a_context())
        assert code_of(result) == "QUERY_TOO_COMPLEX"
        assert "more than 300 values" in str(result.errors)
    for number, cost in ((98, 197), (48, 47), (1, 1)):
        context = a_context()
        variables = {"n": [1] * number, "m": [{"a": 1}] * number}
        result = await schema.execute("{item {number}}", variable_values=variables, context_value=context)
        assert result.errors is None
        assert context.extras[COST] == cost


async def test_list_longer_than_any_page_is_refused_among_the_variables() -> None:
    """And an object of so many fields; lists in lists too."""
    for variables in ({"n": [1] * 101}, {"n": [[{"a": [1] * 101}]]}, {"n": {f"n{n}": 1 for n in range(101)}}):
        result = await small_schema().execute("{quick}", variable_values=variables, context_value=a_context())
        assert code_of(result) == "QUERY_TOO_COMPLEX"
        assert "may hold 100 values; one here has 101" in str(result.errors)
    fits = {"n": [1] * 100} | {f"n{n}": 1 for n in range(150)}
    assert (await small_schema().execute("{quick}", variable_values=fits, context_value=a_context())).errors is None


async def test_price_is_looked_at_before_the_document_is_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes longer; a document that was too dear once is still validated before it runs."""
    validated: list[object] = []
    original = DocumentCache.validate

    def validate(self: DocumentCache, prepared: Any, *rest: Any) -> Any:
        validated.append(prepared.document)
        return original(self, prepared, *rest)

    monkeypatch.setattr(DocumentCache, "validate", validate)
    schema = small_schema(limits=DocumentLimits(cost=100))
    query = "query ($n: Int) {items(first: $n) {edges {node {number nope}}}}"
    for size, code in ((60, "QUERY_TOO_COMPLEX"), (10, "VALIDATION_FAILED"), (60, "VALIDATION_FAILED")):
        result = await schema.execute(query, variable_values={"n": size}, context_value=a_context())
        assert code_of(result) == code
    assert len(validated) == 1


async def test_only_the_first_mistakes_are_told() -> None:
    """In a document as in variables: each may repeat much of what was sent."""
    many = "{item {" + " ".join(f"nope{n}" for n in range(50)) + "}}"
    result = await small_schema().execute(many, context_value=a_context())
    assert [error.message.split("'")[0] for error in result.errors or ()] == [
        *["Cannot query field "] * 5,
        "Too many validation errors, error limit reached. Validation aborted.",
    ]
    names = [f"n{n}" for n in range(20)]
    declared, asked = (" ".join(map(form.format, names)) for form in ("${}: Int", "{0}: item(number: ${0}) {{number}}"))
    wrong = dict.fromkeys(names, "nope")
    result = await small_schema().execute(
        f"query ({declared}) {{{asked}}}", variable_values=wrong, context_value=a_context()
    )
    assert len(result.errors or ()) == 6
    assert "Too many errors" in str((result.errors or ())[-1])


async def test_number_of_more_digits_than_python_reads_is_the_client_s_mistake() -> None:
    """Not ours; and no message repeats more than a little of what was sent."""
    for document in ("{item(number: " + "1" * 9_000 + ") {number}}", "{" + "a" * 9_000 + "}"):
        result = await small_schema().execute(document, context_value=a_context())
        assert code_of(result) == "VALIDATION_FAILED"
        assert result.errors
        assert len(result.errors[0].message) < 600


def test_documents_are_remembered_only_up_to_a_size_together() -> None:
    """Parsed, they take many times the room of their text."""
    cache = DocumentCache(limits=DocumentLimits())
    schema = small_schema()._schema
    texts = [f"{{quick}} #{n} " + "a" * 20_000 for n in range(20)]
    for text in texts:
        cache.prepare(text, parse(text), schema)
    known = [cache.find(text) is not None for text in texts]
    assert known == [False] * 8 + [True] * 12


@pytest.mark.parametrize("text", ["{item {nope}}", REFUSED["repeated leaves"], "query A {item {number}}"])
def test_document_is_gone_at_once_when_nobody_keeps_it(text: str) -> None:
    """Without the garbage collector: one that is refused with its request, one that is run when others push it out."""
    cache = DocumentCache(limits=DocumentLimits(), capacity=1)
    schema = small_schema()._schema
    gc.collect()
    gc.disable()
    try:
        document = parse_document(text, max_tokens=1_700, most=DocumentLimits(written=2_000).in_text())
        seen = weakref.ref(document.definitions[0].selection_set)  # type: ignore[attr-defined]  # an operation
        errors = cache.validate(cache.prepare(text, document, schema), schema)
        del document
        assert (seen() is None) is bool(errors)
        cache.prepare("{quick}", parse("{quick}"), schema)
        assert seen() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("tokens", "fields"), [(50, 100), (1_000, 20)])
def test_what_was_read_of_a_document_that_is_too_long_is_gone_with_the_parser(tokens: int, fields: int) -> None:
    """Though somebody keeps the refusal, as long as its request is answered."""
    gc.collect()
    gc.disable()
    try:
        with pytest.raises((GraphQLError, QueryTooComplex)) as refusal:
            parse_document(
                "{" + "number " * 100 + "}", max_tokens=tokens, most=DocumentLimits(written=fields).in_text()
            )
        assert not [one for one in gc.get_objects() if isinstance(one, FieldNode) and one.name.value == "number"]
        assert refusal.value is not None
    finally:
        gc.enable()


@dataclass
class Purse:
    """A budget of the test's own making, as its protocol allows."""

    left: int
    spent: list[tuple[str, int]] = field(default_factory=list)

    async def spend(self, viewer: str, cost: int) -> Spending:
        """Take it if it is there."""
        self.spent.append((viewer, cost))
        is_allowed = cost <= self.left
        self.left -= cost if is_allowed else 0
        return Spending(is_allowed, 100, self.left, 3.5, 0.0 if is_allowed else 7.2)


async def test_cost_is_spent_before_the_operation_runs_and_told() -> None:
    """At least one, and RATE_LIMITED with `retryAfter` when it is used up."""
    purse = Purse(left=25)
    schema = small_schema(budget=purse)
    result = await schema.execute("{items(first: 10) {edges {node {number}}}}", context_value=a_context())
    assert result.extensions == {"cost": {"requested": 21, "limit": 100, "remaining": 4, "resetAfter": 3.5}}
    assert (await schema.execute("{quick}", context_value=a_context())).errors is None
    result = await schema.execute("{items(first: 10) {edges {node {number}}}}", context_value=a_context())
    assert result.data is None
    assert result.errors
    assert (result.errors[0].extensions or {})["code"] == RateLimited.code
    assert (result.errors[0].extensions or {})["retryAfter"] == 8
    assert purse.spent == [("nobody", 21), ("nobody", 1), ("nobody", 21)]


async def test_all_credentials_of_a_user_spend_from_one_budget() -> None:
    """Whoever may make keys has no more for it; and nobody spends from another's."""
    purse = Purse(left=100)
    schema = small_schema(budget=purse)
    ada, ben = (User(new_id(), name, Role.PERSON, datetime.now(UTC)) for name in ("Ada", "Ben"))
    for user, credential in ((ada, "key:1"), (ada, "jwt"), (ben, "jwt")):
        viewer = Viewer(user, Scope.READ, credential)
        await schema.execute("{quick}", context_value=replace(a_context(), viewer=viewer))
    [one, other, third] = [name for name, _ in purse.spent]
    assert one == other != third


async def test_refused_documents_cost_no_budget() -> None:
    """They were never run."""
    purse = Purse(left=25)
    schema = small_schema(budget=purse)
    for query in ("{", "{nope}", REFUSED["nested lists"]):
        await schema.execute(query, context_value=a_context())
    assert purse.spent == []
