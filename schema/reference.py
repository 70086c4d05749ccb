"""The contract as one page to read: every operation and type with its words, each name leading to what it names.

The page needs nothing besides itself: no script, no font, no server.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    ast_from_value,
    get_named_type,
    is_specified_scalar_type,
    print_ast,
)

_STYLE = Path(__file__).with_name("reference.css")

_KINDS: Mapping[type[GraphQLNamedType], str] = {
    GraphQLObjectType: "Objects",
    GraphQLInterfaceType: "Interfaces",
    GraphQLUnionType: "Unions",
    GraphQLInputObjectType: "Inputs",
    GraphQLEnumType: "Enums",
    GraphQLScalarType: "Scalars",
}

Entry = tuple[str, str, str]
"""What stands in one part of the page: its anchor, its name, and its HTML."""


def render_reference(schema: GraphQLSchema) -> str:
    """The whole page."""
    parts = {title: entries for title, entries in _list_parts(schema) if entries}
    links = "".join(_contents(title, entries) for title, entries in parts.items())
    body = "".join(_part(title, entries) for title, entries in parts.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Crier · GraphQL</title><style>{_STYLE.read_text()}</style></head><body>"
        f'<nav aria-label="Contents"><p class="brand">Crier · GraphQL</p>{links}</nav>'
        f"<main>{body}</main></body></html>\n"
    )


def _list_parts(schema: GraphQLSchema) -> Iterator[tuple[str, list[Entry]]]:
    roots = {
        "Queries": schema.query_type,
        "Mutations": schema.mutation_type,
        "Subscriptions": schema.subscription_type,
    }
    for title, root in roots.items():
        fields = {} if root is None else root.fields
        yield title, [(f"{title}-{name}", name, _operation(name, field)) for name, field in sorted(fields.items())]
    types = [
        kind
        for name, kind in sorted(schema.type_map.items())
        if not name.startswith("__") and kind not in roots.values() and not is_specified_scalar_type(kind)
    ]
    for one, title in _KINDS.items():
        yield title, [(f"type-{kind.name}", kind.name, _type(kind)) for kind in types if isinstance(kind, one)]


def _contents(title: str, entries: Iterable[Entry]) -> str:
    links = "".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>' for anchor, name, _ in entries)
    return f"<details open><summary>{title}</summary><ul>{links}</ul></details>"


def _part(title: str, entries: Iterable[Entry]) -> str:
    articles = "".join(
        f'<article id="{anchor}"><h3><a href="#{anchor}">{escape(name)}</a></h3>{content}</article>'
        for anchor, name, content in entries
    )
    return f"<section><h2>{title}</h2>{articles}</section>"


def _operation(name: str, field: GraphQLField) -> str:
    signature = f"<p class=signature><code>{escape(name)}{'(…)' if field.args else ''}: {_link(field.type)}</code></p>"
    return _words(field) + signature + _table("Argument", field.args)


def _type(kind: GraphQLNamedType) -> str:
    match kind:
        case GraphQLObjectType() | GraphQLInterfaceType():
            implemented = ", ".join(map(_link, kind.interfaces))
            told = f"<p>Implements {implemented}.</p>" if implemented else ""
            return _words(kind) + told + _table("Field", kind.fields)
        case GraphQLInputObjectType():
            return _words(kind) + _table("Field", kind.fields)
        case GraphQLEnumType():
            rows = "".join(
                f"<tr><th scope=row><code>{escape(name)}</code></th><td>{_words(value)}</td></tr>"
                for name, value in kind.values.items()
            )
            return _words(kind) + _framed(("Value", "Meaning"), rows)
        case GraphQLUnionType():
            return f"{_words(kind)}<p>One of {', '.join(map(_link, kind.types))}.</p>"
        case GraphQLScalarType(specified_by_url=str(url)):
            return f'{_words(kind)}<p>By <a href="{escape(url)}">its specification</a>.</p>'
    return _words(kind)


_Member = GraphQLField | GraphQLArgument | GraphQLInputField


def _table(title: str, members: Mapping[str, _Member]) -> str:
    if not members:
        return ""
    rows = "".join(
        f"<tr><th scope=row><code>{escape(name)}</code></th>"
        f"<td><code>{_link(member.type)}{_default(member)}</code></td>"
        f"<td>{_words(member)}{_arguments(member)}</td></tr>"
        for name, member in members.items()
    )
    return _framed((title, "Type", "Meaning"), rows)


def _framed(titles: Iterable[str], rows: str) -> str:
    heads = "".join(f"<th scope=col>{title}</th>" for title in titles)
    return f"<div class=frame><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"


def _arguments(member: _Member) -> str:
    """The arguments of a field below the roots, folded away: lists have the same few everywhere."""
    if not isinstance(member, GraphQLField) or not member.args:
        return ""
    return f"<details><summary>{len(member.args)} arguments</summary>{_table('Argument', member.args)}</details>"


def _default(member: _Member) -> str:
    """What stands for a value that is left out; a schema made from text keeps it as text."""
    if isinstance(member, GraphQLField):
        return ""
    written = None if member.default is None else member.default.literal
    if written is None and member.default_value is not Undefined:
        written = ast_from_value(member.default_value, member.type)
    return "" if written is None else f" = {escape(print_ast(written))}"


def _link(kind: object) -> str:
    """A type as GraphQL writes it, its name leading to it."""
    name = get_named_type(kind).name  # type: ignore[call-overload] # every type of a schema has a named one
    text = escape(str(kind))
    if name in ("ID", "Int", "Float", "String", "Boolean"):
        return text
    return text.replace(name, f'<a href="#type-{name}">{name}</a>', 1)


def _words(described: object) -> str:
    """A description, `code` in it marked; and why something is deprecated."""
    text = escape(getattr(described, "description", None) or "")
    marked = re.sub("`([^`]+)`", r"<code>\1</code>", text)
    paragraph = f"<p>{marked}</p>" if text else ""
    reason = getattr(described, "deprecation_reason", None)
    return paragraph + (f"<p class=deprecated>Deprecated: {escape(reason)}</p>" if reason else "")
