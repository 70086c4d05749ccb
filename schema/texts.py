"""Text that PostgreSQL cannot store: U+0000, which GraphQL and JSON can write, is refused by the name of its field."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from strawberry import Some
from strawberry.utils.str_converters import to_camel_case

from services.domain.errors import ErrorCode, Refused, UserError


def check_texts(given: object) -> None:
    """Raise Refused for every text in an input, however deep, that cannot be stored."""
    errors = [
        UserError(ErrorCode.VALIDATION_FAILED, "Text cannot hold the character U+0000.", ".".join(path) or None)
        for path in _find_nul(given, ())
    ]
    if errors:
        raise Refused(errors)


def _find_nul(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    match value:
        case str() if "\0" in value:
            yield path
        case list():
            for index, item in enumerate(value):
                yield from _find_nul(item, (*path, str(index)))
        case Some():
            yield from _find_nul(value.value, path)
        case _ if is_dataclass(value):
            for field in fields(value):
                yield from _find_nul(getattr(value, field.name), (*path, to_camel_case(field.name)))
