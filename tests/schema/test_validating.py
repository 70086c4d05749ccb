"""The quick parser and the quick validation agree with graphql-core's own, whatever they are given."""

from random import Random
from typing import Any

import pytest
from graphql import DocumentNode, GraphQLError, Lexer, Source, TokenKind, parse, specified_rules, validate
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.attack_bodies import FITTING, _documents
from schema.build import build_schema
from schema.documents import DocumentCache, DocumentLimits, QueryTooComplex
from schema.parsing import _QuickLexer, parse_document
from schema.validating import validate_document
from tests.fuzz.documents import OPERATORS, mutation_texts, query_texts
from tests.fuzz.wire import GOOD

SCHEMA = build_schema()._schema
RULES = DocumentCache(limits=DocumentLimits()).rules
TOKENS = 1_700
ENDLESS = dict.fromkeys(DocumentLimits().in_text(), 10**9)

_RARE_PIECES = [
    "...",
    '"""',
    "\ufeff",
    "\ud800",
    "\u00e9",
    "\U0001f600",
    "-1",
    "0",
    "1.5e3",
    "01",
    '"\\u0041"',
    "# c\n",
]
_PIECES = st.sampled_from(
    [*"{}()[]:$!@|&=.,\"'#\\ \t\n\r", *_RARE_PIECES, "\r\n", "on", "query", "_b1", "id", '"x"', '""', "$v"]
)
_WORDS = ["id", "nope", "Post", "Query", "Int", "F", "first", "$v", "ID!", "ADMIN", '"1"', "1", "@skip", "{", "}"]


def read(text: str, *, quickly: bool) -> DocumentNode | tuple[Any, ...]:
    """The document; of a text that is none, what is wrong and where."""
    try:
        if quickly:
            return parse_document(text, max_tokens=TOKENS, most=ENDLESS)
        return parse(text, max_tokens=TOKENS)
    except GraphQLError as error:
        return error.message, error.positions, error.locations


def shown(found: DocumentNode | tuple[Any, ...]) -> Any:
    """Comparable: nodes with their places."""
    return found.to_dict(locations=True) if isinstance(found, DocumentNode) else found


def mistakes(errors: list[GraphQLError]) -> list[Any]:
    """Comparable: words and places."""
    return [(error.message, error.locations) for error in errors]


def changed(text: str, seed: int) -> str:
    """The text with some of its words replaced, taken away, or said twice."""
    random = Random(seed)  # noqa: S311 - Hypothesis chose it
    words = text.replace("(", " ( ").replace("{", " { ").split(" ")
    for _ in range(random.randint(0, 4)):
        at = random.randrange(len(words))
        words[at : at + 1] = random.choice([[random.choice(_WORDS)], [], [words[at]] * 2, [random.choice(words)]])
    return " ".join(words)


@given(st.lists(_PIECES, max_size=120).map("".join))
@settings(max_examples=200, deadline=None)
def test_lexer_finds_the_same_tokens_at_the_same_places(text: str) -> None:
    """Kind, value, place, line and column of each; or the same mistake."""

    def tokens(lexer: Lexer) -> list[Any]:
        found = []
        try:
            while lexer.advance().kind is not TokenKind.EOF:
                token = lexer.token
                found.append((token.kind, token.value, token.start, token.end, token.line, token.column))
        except GraphQLError as error:
            found.append((error.message, error.positions))
        return found

    assert tokens(_QuickLexer(Source(text))) == tokens(Lexer(Source(text)))


@given(query_texts(OPERATORS) | mutation_texts(OPERATORS) | st.sampled_from(GOOD), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_documents_are_read_and_judged_as_graphql_core_does(text: str, seed: int) -> None:
    """Sound ones, and ones with a few mistakes in them."""
    text = changed(text, seed)
    found = read(text, quickly=True)
    assert shown(found) == shown(read(text, quickly=False))
    if isinstance(found, DocumentNode):
        for most in (2, 100):
            errors = validate_document(SCHEMA, found, RULES, max_errors=most, hide_suggestions=False)
            assert mistakes(errors) == mistakes(validate(SCHEMA, parse(text), RULES, max_errors=most))


@pytest.mark.parametrize("name", [name for name, _ in _documents(FITTING)])
def test_attacks_are_read_and_judged_as_graphql_core_does(name: str) -> None:
    """Each to its first few mistakes."""
    document = dict(_documents(FITTING))[name]
    text = document if isinstance(document, str) else document[0]
    found, other = read(text, quickly=True), read(text, quickly=False)
    if isinstance(found, tuple) and "nested too deeply" in found[0]:
        assert isinstance(other, tuple)
        assert found[0] == other[0]  # where the stack ends is nobody's promise
        return
    assert shown(found) == shown(other)
    if isinstance(found, DocumentNode) and len(text) < 4_000:
        errors = validate_document(SCHEMA, found, RULES, max_errors=5, hide_suggestions=False)
        assert mistakes(errors) == mistakes(validate(SCHEMA, parse(text), RULES, max_errors=5))


@pytest.mark.parametrize("rule", specified_rules, ids=lambda rule: rule.__name__)
def test_every_rule_is_asked(rule: Any) -> None:
    """Alone, as graphql-core asks it, about a document in which something is wrong for most of them."""
    text = (
        "query Q($a: Int, $a: Nope, $b: Post, $c: [ID!]) {...G ...C ...Nope viewer viewer {id id: name nope(x: $d)} "
        "posts(first: $c, first: 1) @skip @skip(if: 1) @nope {nodes {id {x}}} nodes(ids: [$a, 1, {k: 1, k: 1}]) {id} "
        "... on Post {id} ... on Int {id} x: __schema {types {fields {type {fields {type {fields {name}}}}}}}} "
        "query Q {health {status}} {viewer {id}} subscription S {postsChanged {id} postChanged @stream {id}} "
        "fragment F on Query {...F} fragment F on Query {viewer {id}} fragment C on Query {...D ...C} "
        "fragment D on Query {...C} fragment G on Int {x} type T {a: Int} "
        'mutation {schedulePost(input: {caption: 1, nope: "x"}) {post {... @defer {id}}} ... @defer {__typename}}'
    )
    document = parse_document(text, max_tokens=TOKENS, most=ENDLESS)
    errors = validate_document(SCHEMA, document, [rule], max_errors=100, hide_suggestions=True)
    assert mistakes(errors) == mistakes(validate(SCHEMA, parse(text), [rule], hide_suggestions=True))


def test_parser_gives_up_at_one_too_many() -> None:
    """Of whatever it counts, and whatever else the text may hold."""
    text = "query ($v: Int) {a: b @c ...F} fragment F on Query {d}"
    just_enough = dict.fromkeys(DocumentLimits().in_text(), 1) | {"fields in its text": 2}
    assert shown(parse_document(text, max_tokens=30, most=just_enough)) == shown(parse(text))
    for what, number in just_enough.items():
        with pytest.raises(QueryTooComplex, match=f"more than {number - 1} {what}, which is the most"):
            parse_document(text, max_tokens=30, most=just_enough | {what: number - 1})
    with pytest.raises(GraphQLError, match="more than 7 tokens"):
        parse_document(text, max_tokens=7, most=ENDLESS)
    with pytest.raises(GraphQLError, match="more than 9 tokens"):
        parse_document(f"# one\n#two\n{text}", max_tokens=9, most=ENDLESS)
