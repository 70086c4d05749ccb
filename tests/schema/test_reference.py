"""The page made from the schema says all of it, and leads nowhere that is not there."""

from html.parser import HTMLParser

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, build_schema

from schema.build import build_schema as build_own
from schema.reference import render_reference

OWN = build_own()._schema
VOID = {"meta"}


class Reader(HTMLParser):
    """What a page holds: text by anchor, links, anchors; raises where a tag is not closed by its own."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.links: list[str] = []
        self._open: list[str] = []
        self._anchor = ""
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "article":
            self._anchor = named["id"] or ""
            assert self._anchor not in self.texts
            self.texts[self._anchor] = ""
        if tag == "a":
            self.links.append(named["href"] or "")
        assert tag not in ("script", "link", "img"), "the page needs nothing besides itself"
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._anchor:
            self.texts[self._anchor] += data


def test_everything_of_the_schema_is_told_in_its_place() -> None:
    """Every operation, type, field, argument and value, with its words."""
    texts = Reader(render_reference(OWN)).texts
    missing = []

    def look(anchor: str, *told: str | None) -> None:
        missing.extend((anchor, text) for text in told if (text or "").replace("`", "") not in texts.get(anchor, ""))

    roots = {"Query": "Queries", "Mutation": "Mutations", "Subscription": "Subscriptions"}
    for name, kind in OWN.type_map.items():
        if name.startswith("__"):
            continue
        if name in roots:
            assert isinstance(kind, GraphQLObjectType)
            for key, field in kind.fields.items():
                look(f"{roots[name]}-{key}", key, field.description, str(field.type))
                for argument, given in field.args.items():
                    look(f"{roots[name]}-{key}", argument, given.description, str(given.type))
            continue
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            look(f"type-{name}", kind.description)
            for key, member in kind.fields.items():
                look(f"type-{name}", key, member.description, str(member.type))
                for argument, given in getattr(member, "args", {}).items():
                    look(f"type-{name}", argument, given.description, str(given.type))
        if isinstance(kind, GraphQLEnumType):
            look(f"type-{name}", *kind.values, *(value.description for value in kind.values.values()))
    assert missing == []
    assert len(texts) > 100


def test_every_link_leads_somewhere() -> None:
    """To an article of the page, or to a specification."""
    page = Reader(render_reference(OWN))
    assert {link for link in page.links if link.startswith("#")} == {f"#{anchor}" for anchor in page.texts}
    assert {link.split(":")[0] for link in page.links if not link.startswith("#")} == {"https"}


def test_words_stay_words_and_endings_are_told() -> None:
    """Whatever stands in a description is text; defaults and deprecations are shown."""
    told = build_schema("""
        "Asks <b>nothing</b> & `more<i>`"
        type Query {
          old(size: Int = 3, kind: Kind = A): Int @deprecated(reason: "Use `new` from 2030-01-01 on.")
        }
        enum Kind { A B @deprecated(reason: "gone") }
        union Any = Query
        scalar Odd
    """)
    page = render_reference(told)
    assert "<b>nothing" not in page and "more<i>" not in page
    read = Reader(page)
    assert "Int = 3" in read.texts["Queries-old"] and "Kind = A" in read.texts["Queries-old"]
    assert "Deprecated: Use" in read.texts["Queries-old"]
    assert "Deprecated: gone" in read.texts["type-Kind"]
