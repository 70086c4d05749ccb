"""Small templates: `$name` in a file of `pages/`, filled with text that is escaped unless it is HTML already."""

import html
from functools import cache
from pathlib import Path
from string import Template

PAGES = Path(__file__).parent / "pages"


class Html(str):
    """Text that is HTML and stays as it is."""

    __slots__ = ()


def render(template: str, **values: str) -> Html:
    """A template with its names filled in; raises KeyError for a name that is not given."""
    safe = {name: value if isinstance(value, Html) else html.escape(value) for name, value in values.items()}
    return Html(_template(template).substitute(safe))


def page(*, title: str, body: Html, kind: str) -> Html:
    """A whole page; `kind` is a class of its body."""
    return render("page", title=title, body=body, kind=kind)


@cache
def _template(name: str) -> Template:
    return Template((PAGES / f"{name}.html").read_text(encoding="utf-8"))
