"""Reads a document as graphql-core does, at half its price: the same parser, with what most of a document is made of
found and built in one step.

graphql-core looks at each character in Python, sets each attribute of a node on its own, counts all lines anew for
each place that it tells, and knows a selection set by all that is in it, which it hashes whenever it looks one up.
What is rare, and what is wrong, is left to it.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    Lexer,
    Location,
    NamedTypeNode,
    NameNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    SourceLocation,
    Token,
    TokenKind,
    VariableDefinitionNode,
)
from graphql.language.parser import Parser

from schema.documents import QueryTooComplex

_N = TypeVar("_N", bound=Node)

_PLAIN = re.compile(
    r"[ \t,\ufeff\n]*+"
    r"(?:([A-Za-z_][A-Za-z0-9_]*+)|(\.\.\.|[!$&()|:=@\[\]{}])|\"([^\"\\\n\r\ud800-\udfff]++)\")"
)
"""A name, a punctuator, or a string without escapes, after what is ignored."""
_NAME_END = re.compile(r"[A-Za-z0-9_]*+")
_LINE_END = re.compile(r"\r\n|[\n\r]")
_KINDS = {kind.value: kind for kind in TokenKind}
_NAME_GROUP, _STRING_GROUP = 1, 3
_RUN = 50
"""Tokens that are read at once."""
_RARE = (TokenKind.COMMENT, TokenKind.EOF)


def parse_document(text: str, *, max_tokens: int, most: Mapping[str, int]) -> DocumentNode:
    """The document that a text holds. Raises GraphQLSyntaxError, also for one of more tokens, comments included, and
    QueryTooComplex for one of more of anything than `most` says (`DocumentLimits.in_text`)."""
    source = _Text(text)
    lexer = _QuickLexer(source)
    first = lexer.token
    try:
        return _QuickParser(source, lexer=lexer, max_tokens=max_tokens, most=most).parse_document()
    except (GraphQLSyntaxError, QueryTooComplex) as error:
        raise error.with_traceback(None) from None  # nor the frames of the parser, with all that was read
    except RecursionError:
        pass  # its frames are gone before the error is made, or it would keep them
    finally:
        _unlink(first)
    raise GraphQLSyntaxError(source, lexer.token.start, "Document is nested too deeply. Parsing aborted.")


def _unlink(token: Token | None) -> None:
    """Nobody goes from token to token any more, and rings of them would wait for the garbage collector."""
    while token is not None:
        token.prev, token.next, token = None, None, token.next


class _Text(Source):
    """A source that counts its lines once."""

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_END.finditer(self.body))]

    def get_location(self, position: int) -> SourceLocation:
        """Line and column of a character, from 1."""
        line = bisect_right(self._line_starts, position)
        return SourceLocation(line, position + 1 - self._line_starts[line - 1])


class _QuickLexer(Lexer):
    """The same tokens at the same places."""

    def read_next_token(self, start: int) -> Token:
        """The token that follows, whatever is ignored before it left out; plain ones that follow on it hang on it."""
        body, line, line_start = self.source.body, self.line, self.line_start
        first = last = None
        for _ in range(_RUN):
            match = _PLAIN.match(body, start)
            if match is None or (group := match.lastindex) is None:
                break
            begin, end = match.span(group)
            value = match.group(group)
            if group == _NAME_GROUP:
                kind = TokenKind.NAME
            elif group == _STRING_GROUP:
                kind, begin, end = TokenKind.STRING, begin - 1, end + 1
            else:
                kind, value = _KINDS[value], None
            if begin > start and "\n" in (ignored := body[start:begin]):
                line += ignored.count("\n")
                line_start = start + ignored.rindex("\n") + 1
            token = Token(kind, begin, end, line, 1 + begin - line_start, value)
            if last is None:
                first = token
            else:
                last.next, token.prev = token, last
            last, start = token, end
        if first is None:
            return super().read_next_token(start)
        self.line, self.line_start = line, line_start
        return first

    def read_name(self, start: int) -> Token:
        """A name after something rarer than blanks."""
        match = _NAME_END.match(self.source.body, start)
        assert match is not None  # noqa: S101 — for the type checker: nothing is a match too
        return self.create_token(TokenKind.NAME, start, match.end(), match.group())


class _KnownByItself(SelectionSetNode):
    """A selection set that hashes as the object it is."""

    __hash__ = object.__hash__


_KnownByItself.kind = SelectionSetNode.kind  # graphql-core names kinds after their classes, once these are made


class _QuickParser(Parser):
    """Takes tokens, and builds names, fields and selection sets, in one step each."""

    def __init__(self, source: Source, *, lexer: Lexer, max_tokens: int, most: Mapping[str, int]) -> None:
        super().__init__(source, lexer=lexer, max_tokens=max_tokens)
        self._most_tokens = max_tokens
        self._most = most
        self._left = dict(most)

    def advance_lexer(self) -> None:
        """The next token. Comments, the end, and one token too many are graphql-core's."""
        lexer = self._lexer
        last = lexer.token
        token = last.next
        if token is None and last.kind is not TokenKind.EOF:
            lexer._comment_budget = self._most_tokens - self._token_counter
            token = last.next = lexer.read_next_token(last.end)
            token.prev = last
        if token is None or token.kind in _RARE or self._token_counter >= self._most_tokens:
            super().advance_lexer()
            return
        lexer.last_token, lexer.token = last, token
        self._token_counter += 1

    def parse_name(self) -> NameNode:
        """A name."""
        token = self.expect_token(TokenKind.NAME)
        return _build(NameNode, value=token.value, loc=Location(token, token, self._lexer.source))

    def parse_field(self) -> FieldNode:
        """Field: Alias? Name Arguments? Directives? SelectionSet?"""
        self._count("fields in its text")
        start = self._lexer.token
        alias, name = None, self.parse_name()
        if self.expect_optional_token(TokenKind.COLON):
            self._count("aliases")
            alias, name = name, self.parse_name()
        following = self._lexer.token.kind
        arguments = self.parse_arguments(False) if following is TokenKind.PAREN_L else None
        directives = self.parse_directives(False) if self._lexer.token.kind is TokenKind.AT else None
        selection_set = self.parse_selection_set() if self._lexer.token.kind is TokenKind.BRACE_L else None
        return _build(
            FieldNode,
            alias=alias,
            name=name,
            arguments=arguments,
            directives=directives,
            selection_set=selection_set,
            loc=self.loc(start),
        )

    def parse_fragment(self) -> FragmentSpreadNode | InlineFragmentNode:
        """A fragment where it is spread, or written."""
        self._count("spreads of fragments")
        return super().parse_fragment()

    def parse_operation_definition(self) -> OperationDefinitionNode:
        """An operation."""
        self._count("operations")
        return super().parse_operation_definition()

    def parse_fragment_definition(self) -> FragmentDefinitionNode:
        """FragmentDefinition: Description? fragment FragmentName TypeCondition Directives? SelectionSet"""
        self._count("fragments")
        start = self._lexer.token
        description = self.parse_description()
        self.expect_keyword("fragment")
        return _build(
            FragmentDefinitionNode,
            description=description,
            name=self.parse_fragment_name(),
            variable_definitions=(),
            type_condition=self.parse_type_condition(),
            directives=self.parse_directives(False),
            selection_set=self.parse_selection_set(),
            loc=self.loc(start),
        )

    def parse_named_type(self) -> NamedTypeNode:
        """NamedType: Name"""
        name = self.parse_name()
        return _build(NamedTypeNode, name=name, loc=name.loc)

    def parse_variable_definition(self) -> VariableDefinitionNode:
        """A variable where it is defined."""
        self._count("variables")
        return super().parse_variable_definition()

    def parse_directive(self, is_const: bool) -> DirectiveNode:
        """A directive."""
        self._count("directives")
        return super().parse_directive(is_const)

    def _count(self, what: str) -> None:
        self._left[what] -= 1
        if self._left[what] < 0:
            raise QueryTooComplex(f"The document has more than {self._most[what]} {what}, which is the most.")

    def parse_selection_set(self) -> SelectionSetNode:
        """SelectionSet: { Selection* }"""
        self._enter_nesting()
        lexer, start, selections = self._lexer, self._lexer.token, []
        self.expect_token(TokenKind.BRACE_L)
        while (kind := lexer.token.kind) is not TokenKind.BRACE_R:
            selections.append(self.parse_fragment() if kind is TokenKind.SPREAD else self.parse_field())
        self.advance_lexer()
        self._nesting_depth -= 1
        return _build(_KnownByItself, selections=tuple(selections), loc=self.loc(start))


def _build(kind: type[_N], **attributes: Any) -> _N:
    """A node with all its attributes. Its own constructor takes five times as long, for it is frozen."""
    node = object.__new__(kind)
    vars(node).update(attributes)
    return node
