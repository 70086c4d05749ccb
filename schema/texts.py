"""Texts that clients write: none is longer than anybody needs, and none holds what PostgreSQL cannot store.

That is U+0000, which GraphQL and JSON can write. Ids are not among them: an id that was not given here names nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache

from strawberry import Some
from strawberry.utils.str_converters import to_camel_case

from services.domain.drafts import LONGEST_KEY
from services.domain.errors import ErrorCode, Refused, UserError
from services.domain.urls import LONGEST as LONGEST_URL

LONGEST: Mapping[str, int] = {
    "caption": 63_206,
    "link": LONGEST_URL,
    "url": LONGEST_URL,
    "permalink": LONGEST_URL,
    "altText": 1_000,
    "title": 500,
    "tags": 500,
    "categoryId": 20,
    "idempotencyKey": LONGEST_KEY,
    "name": 100,
    "search": 200,
}
"""Characters that a text may have, by the field that it stands in: what any platform takes. A post's own platforms may
take less, and say so of each account."""


def check_texts(given: object) -> None:
    """Raise Refused for every text in an input, however deep, that is too long or cannot be stored."""
    errors = [UserError(code, message, ".".join(path) or None) for path, code, message in _judge(given, ())]
    if errors:
        raise Refused(errors)


def _judge(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], ErrorCode, str]]:
    match value:
        case str():
            if "\0" in value:
                yield path, ErrorCode.VALIDATION_FAILED, "Text cannot hold the character U+0000."
            field_name = next((name for name in reversed(path) if not name.isdigit()), "")
            longest = LONGEST.get(field_name)
            if longest is not None and len(value) > longest:
                code = ErrorCode.CAPTION_TOO_LONG if field_name == "caption" else ErrorCode.VALIDATION_FAILED
                yield path, code, f"At most {longest:,} characters; these are {len(value):,}."
        case list():
            for index, item in enumerate(value):
                yield from _judge(item, (*path, str(index)))
        case Some():
            yield from _judge(value.value, path)
        case _:
            for name, spelled in _list_fields(type(value)):  # type: ignore[arg-type] # classes are hashable
                if (inner := getattr(value, name)) is not None:
                    yield from _judge(inner, (*path, spelled))


@cache
def _list_fields(kind: type) -> tuple[tuple[str, str], ...]:
    """An input's fields, each with its name as clients spell it; what is no input has none."""
    return tuple((field.name, to_camel_case(field.name)) for field in fields(kind)) if is_dataclass(kind) else ()
