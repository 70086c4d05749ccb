"""Bodies of up to 100 kB that ask as much work of a GraphQL server as they can, by the way they go about it."""

from collections.abc import Iterator
from typing import NamedTuple

import orjson

from schema.documents import DocumentLimits

MOST_BYTES = 100_000

Document = str | tuple[str, object]


class Size(NamedTuple):
    """How much an attack brings: all that a body holds, or just so much that no limit on texts stands in its way."""

    characters: int
    tokens: int
    values: int

    def times(self, tokens: float) -> range:
        """So many pieces of so many tokens."""
        return range(int(self.tokens / tokens))


FULL = Size(99_000, 14_000, 45_000)
_LIMITS = DocumentLimits()
FITTING = Size(_LIMITS.characters - 500, _LIMITS.tokens - 50, _LIMITS.values - 30)


def attack_bodies() -> dict[str, bytes]:
    """Every attack as the body of a POST: of 100 kB, but for some raw ones of a megabyte, which a caption may take."""
    bodies = {}
    for manner, size in (("full", FULL), ("fitting", FITTING)):
        bodies |= {f"{name}, {manner}": _body(document)[:MOST_BYTES] for name, document in _documents(size)}
    bodies |= {name: _body(document) for name, document in _at_the_limits()}
    bodies |= dict(_raw())
    return bodies


def _body(document: Document) -> bytes:
    query, variables = document if isinstance(document, tuple) else (document, None)
    return orjson.dumps({"query": query} if variables is None else {"query": query, "variables": variables})


def _nested(opening: str, closing: str, levels: int, core: str = "") -> str:
    return opening * levels + core + closing * levels


def _bomb(levels: int, spreads: int = 2, leaf: str = "__typename") -> str:
    """Each fragment spreads the next several times: exponential for whoever follows every spread."""
    chain = " ".join(f"fragment F{n} on Query {{{f'...F{n + 1} ' * spreads}}}" for n in range(levels))
    return f"{{...F0}} {chain} fragment F{levels} on Query {{{leaf}}}"


def _documents(size: Size) -> Iterator[tuple[str, Document]]:
    for kind in (_selections, _fragments, _overlaps, _texts, _literals, _variables, _inputs, _introspections):
        yield from kind(size)


def _selections(size: Size) -> Iterator[tuple[str, Document]]:
    pages = "posts(first: 100) {nodes {targets {account {posts(first: 100) {nodes {targets {id}}}}}}}"
    yield "nested pages", f"{{accounts(first: 100) {{nodes {{{pages}}}}}}}"
    yield "deep selection", "{accounts {nodes " + _nested("{posts {nodes ", "}}", size.tokens // 6, "{id}") + "}}"
    yield "deep inline fragments", "{" + _nested("... {", "}", size.tokens // 3, "__typename") + "}"
    yield "operations", " ".join(f"query Q{n} {{__typename}}" for n in size.times(5))
    yield "directives", "{__typename " + "@skip(if: false) " * len(size.times(7)) + "}"
    yield "unknown directives", "{__typename " + " ".join(f"@d{n}" for n in size.times(2)) + "}"
    yield "aliases", "{" + " ".join(f"a{n}: __typename" for n in size.times(3)) + "}"
    yield "aliases below a root field", "{viewer {" + " ".join(f"a{n}: id" for n in range(100)) + "}}"
    yield "aliased lists", "{" + " ".join(f"a{n}: posts(first: 100) {{nodes {{id}}}}" for n in size.times(13.6)) + "}"
    yield "unknown fields", "{viewer {" + " ".join(f"fieldThatIsNot{n}" for n in size.times(1)) + "}}"
    yield "nearly known fields", "{posts {nodes {" + " ".join(f"scheduledAtt{n}" for n in size.times(1)) + "}}}"
    yield "declared variables", f"query ({' '.join(f'$v{n}: ID' for n in size.times(4))}) {{__typename}}"


def _at_the_limits() -> Iterator[tuple[str, Document]]:
    """As much of several things as is allowed of each, in no more tokens than may be."""
    unused = " ".join(f"fragment F{n} on Query {{__typename}}" for n in range(_LIMITS.fragments))
    declared = " ".join(f"$v{n}: ID" for n in range(_LIMITS.variables))
    spreads = " ".join(f"...G{n}" for n in range(_LIMITS.spreads))
    yield "variables and unused fragments", f"query ({declared}) {{viewer {{{'id ' * 500}}}}} {unused}"
    yield "unknown and unused fragments", f"{{__typename {spreads}}} {unused}"
    yield "spreads of unused variables", f"query ({declared}) {{viewer {{{spreads} {'id ' * 550}}}}}"
    inline = "... {" * 14 + "".join(f"a{n}: viewer {{id}} " for n in range(15)) + "}" * 14
    yield "one fragment spread in the depth", f"{{{inline} {'...F0 ' * 5}}} {unused}"


def _fragments(size: Size) -> Iterator[tuple[str, Document]]:
    yield "fragment bomb", _bomb(min(2_000, size.tokens // 15))
    yield "fragment bomb by nine", _bomb(size.tokens // 60, 9)
    number = len(size.times(8))
    circle = " ".join(f"fragment F{n} on Query {{...F{(n + 1) % number}}}" for n in range(number))
    yield "fragment circle", f"{{...F0}} {circle}"
    number = int((size.tokens / 2) ** 0.5) - 3
    every = " ".join(f"...F{n}" for n in range(number))
    yield (
        "every fragment spreads every one",
        f"{{...F0}} {' '.join(f'fragment F{n} on Query {{{every}}}' for n in range(number))}",
    )
    unused = " ".join(f"fragment F{n} on Query {{__typename}}" for n in size.times(7))
    yield "unused fragments", f"{{__typename}} {unused}"
    yield "unknown fragments", f"{{{' '.join(f'...F{n}' for n in size.times(2))}}}"
    number = len(size.times(15))
    chain = " ".join(f"fragment F{n} on Query {{...F{n + 1}}}" for n in range(number))
    asks = " ".join(f"query Q{n} {{...F0}}" for n in range(number))
    yield "operations times fragments", f"{asks} {chain} fragment F{number} on Query {{__typename}}"


def _overlaps(size: Size) -> Iterator[tuple[str, Document]]:
    yield "repeated objects", "{" + "viewer {id} " * len(size.times(4.05)) + "}"
    yield "repeated leaves", "{viewer {" + "id " * len(size.times(1)) + "}}"
    tree = "viewer {id name} accounts {nodes {id handle posts {nodes {id status}}}} "
    yield "repeated trees", "{" + tree * len(size.times(21)) + "}"
    yield (
        "repeated arguments",
        "{" + "posts(first: 1, orderBy: CREATED_AT_ASC) {nodes {id}} " * len(size.times(16)) + "}",
    )
    names = ("id", "name", "role")
    yield "conflicting aliases", f"{{viewer {{{' '.join(f'x: {names[n % 3]}' for n in size.times(3))}}}}}"
    through = " ".join(f"fragment F{n} on Query {{viewer {{id x: {names[n % 2]}}}}}" for n in size.times(16))
    spreads = " ".join(f"...F{n}" for n in size.times(16))
    yield "conflicts through fragments", f"{{{spreads}}} {through}"
    number = len(size.times(20))
    chain = " ".join(f"fragment F{n} on Post {{targets {{account {{id x: id}}}} ...F{n + 1}}}" for n in range(number))
    yield "overlaps down a chain", f"{{posts {{nodes {{...F0 ...F1}}}}}} {chain} fragment F{number} on Post {{id}}"


def _texts(size: Size) -> Iterator[tuple[str, Document]]:
    long = size.characters
    for name, text in (
        ("string", '"' + "a" * long + '"'),
        ("string of escapes", '"' + "\\u0041" * (long // 7) + '"'),
        ("string of other letters", '"' + "é" * (long // 2) + '"'),
        ("block string", '"""' + "a " * (long // 2) + '"""'),
        ("block string of lines", '"""' + "  a\n" * min(long // 5, 1_990 if long < 50_000 else long) + '"""'),
        ("unterminated string", '"' + "a" * long),
        ("unterminated block string", '"""' + "\n" * (long // 2)),
        ("number", "1" * long),
        ("fraction", "1." + "1" * long),
    ):
        yield f"long {name}", f"{{post(id: {text}) {{id}}}}"
    yield "long number where one is wanted", "{posts(first: " + "1" * long + ") {nodes {id}}}"
    yield "long name", "{" + "a" * long + "}"
    yield "long cursor", '{posts(first: 1, after: "' + "A" * long + '") {nodes {id}}}'
    for name, filling in (("commas", ","), ("blanks", " "), ("lines", "\n"), ("comments", "#\n")):
        yield f"only {name}", "{__typename" + filling * (long // len(filling.encode("unicode_escape"))) + "}"
    lines = "\n" * min(long // 2, 1_990 if long < 50_000 else long)
    yield "lines before a mistake", f"{lines}{{"
    yield "lines before many mistakes", f"{lines}{{viewer {{{' '.join(f'a{n}' for n in size.times(1.05))}}}}}"
    yield "one comment", "#" + "a" * long + "\n{__typename}"
    yield "control characters", "{" + "\x01" * (long // 6) + "}"
    yield "ellipses", "." * long
    yield "brackets", "{" * long


def _literals(size: Size) -> Iterator[tuple[str, Document]]:
    yield "deep list", "{nodes(ids: " + _nested("[", "]", size.tokens // 2) + ") {id}}"
    yield "deep object", "{posts(filter: " + _nested("{search: ", "}", size.tokens // 4, '"x"') + ") {nodes {id}}}"
    yield "wide list", "{nodes(ids: [" + " ".join(f'"{n}"' for n in size.times(1.05)) + "]) {id}}"
    yield "wide object", "{posts(filter: {" + " ".join(f"k{n}: 1" for n in size.times(3.1)) + "}) {nodes {id}}}"
    one = '{kind: IMAGE, url: "https://x.example/a.jpg"}'
    plain = 'caption: "x", accountIds: ["acct_x"], scheduledAt: "2030-01-01T00:00:00Z"'
    media = f"media: [{one * len(size.times(9))}]"
    yield "wide input", f"mutation {{schedulePost(input: {{{plain}, {media}}}) {{userErrors {{code}}}}}}"


def _variables(size: Size) -> Iterator[tuple[str, Document]]:
    many = "query ($ids: [ID!]!) {nodes(ids: $ids) {id}}"
    most = size.values
    yield "variable of strings", (many, {"ids": [str(n) for n in range(min(most, 12_000))]})
    yield "variable of nulls", (many, {"ids": [None] * min(most, 19_000)})
    yield "variable of numbers", (many, {"ids": [n % 10 for n in range(most)]})
    yield "variable of ids", (many, {"ids": [f"post_{n:032x}" for n in range(min(most, 2_400))]})
    yield "deep variable", (many, {"ids": _deep_list(min(most, 150))})
    statuses = "query ($s: [PostStatus!]) {posts(filter: {statuses: $s}) {nodes {id}}}"
    yield "variable of enum values", (statuses, {"s": ["DRAFT"] * min(most, 12_000)})
    yield "variable of wrong enum values", (statuses, {"s": ["DRAFTS"] * min(most, 10_000)})
    filters = "query ($f: PostFilter) {posts(filter: $f) {nodes {id}}}"
    yield "variable of unknown keys", (filters, {"f": {f"k{n}": 1 for n in range(min(most, 9_000))}})
    yield "variable of long text", (filters, {"f": {"search": "%_" * 49_000}})
    yield "variables that nobody declared", ("{__typename}", {f"k{n}": n for n in range(min(most, 7_500))})


def _inputs(size: Size) -> Iterator[tuple[str, Document]]:
    schedule = "mutation ($i: SchedulePostInput!) {schedulePost(input: $i) {userErrors {code message field}}}"
    plain = {"caption": "x", "accountIds": ["acct_x"], "scheduledAt": "2030-01-01T00:00:00Z"}
    media = {"kind": "IMAGE", "url": "https://x.example/a.jpg"}
    accounts = [f"acct_{n:032x}" for n in range(min(size.values, 2_300))]
    variants = [{"accountId": "acct_x"}] * min(size.values // 2 - 5, 3_900)
    for name, more in (
        ("media", {"media": [media] * min(size.values // 3 - 5, 1_900)}),
        ("accounts", {"accountIds": accounts[:-10]}),
        ("variants", {"variants": variants}),
        ("captions", {"caption": "#a" * 49_000}),
        ("times", {"scheduledAt": "2" * 99_000}),
    ):
        yield f"input of many {name}", (schedule, {"i": plain | more})


def _introspections(size: Size) -> Iterator[tuple[str, Document]]:
    depth = size.tokens // 12
    yield (
        "introspection in depth",
        "{__schema {types " + _nested("{fields {type {fields ", "}}}", depth, "{name}") + "}}",
    )
    every = "{__schema {types {fields {name type {name fields {name}}} possibleTypes {name fields {name}}}}}"
    yield "introspection in breadth", every
    named = "fields {name args {name type {name kind ofType {name}}} type {name kind ofType {name kind}}}"
    one = " ".join(f'a{n}: __type(name: "Post") {{{named}}}' for n in range(20))
    yield "one type, often", f"{{{one}}}"
    types = "{types {name fields {name args {name}}}}"
    yield "all types, often", f"{{{' '.join(f'a{n}: __schema {types}' for n in range(20))}}}"


def _deep_list(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = [value]
    return value


def _raw() -> Iterator[tuple[str, bytes]]:
    yield "deep JSON lists", b"[" * MOST_BYTES
    yield "deep JSON objects", b'{"a":' * (MOST_BYTES // 5)
    yield "deep JSON in variables", b'{"query":"{__typename}","variables":{"a":' + b"[" * 49_000 + b"]" * 49_000 + b"}}"
    yield "wide JSON", b'{"query":"{__typename}",' + b",".join(b'"%d":0' % n for n in range(9_800)) + b"}"
    yield "one key, often", b'{"query":"{__typename}"' + b',"a":1' * 16_000 + b"}"
    yield "long JSON number", b'{"query":"{__typename}","variables":{"a":' + b"9" * 99_000 + b"}}"
    yield "no UTF-8", b'{"query":"' + b"\xff" * 99_000 + b'"}'
    yield "no JSON", b" " * MOST_BYTES
    yield "a megabyte of objects", b'{"query":"{__typename}","variables":{"a":[' + b"{}," * 330_000 + b"1]}}"
    yield "a megabyte of escapes", b'{"query":"{__typename}","variables":{"a":"' + b"\\u0041" * 165_000 + b'"}}'
    yield (
        "a megabyte of noughts",
        b'{"query":"{__typename}","variables":{"a":[' + b"0," * 9_000 + b"0" * 980_000 + b"]}}",
    )
