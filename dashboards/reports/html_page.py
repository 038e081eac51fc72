"""HTML parts of the report and comparison pages: self-contained, light and dark, without a script."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

from gridfleet.dashboards.plots.style import COLOURS


def document(title: str, body: str) -> str:
    """Return a page that loads no other file; the body is HTML, the title is text."""
    sheet = (
        resources.files("gridfleet.dashboards.reports.data").joinpath("page.css").read_text(encoding="utf-8")
    )
    light = "".join(f"--{token}:{colour.light};" for token, colour in COLOURS.items())
    dark = "".join(f"--{token}:{colour.dark};" for token, colour in COLOURS.items())
    colours = f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{colours}{sheet}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Iterable[int] = (),
    kind: str = "",
    links: Sequence[str] = (),
) -> str:
    """Return a table of plain texts, a second line in small type; columns in `numbers` are right-aligned.

    `links` are addresses to which the first column leads, one for each row.
    """
    right = frozenset(numbers)

    def cell(tag: str, column: int, text: str, link: str = "") -> str:
        look = ' class="number"' if column in right else ""
        first, _, second = escape(text).partition("\n")
        if link:
            first = f'<a href="{escape(link)}" target="_blank" rel="noopener">{first}</a>'
        return f"<{tag}{look}>{first}{f'<br><small>{second}</small>' if second else ''}</{tag}>"

    head = "".join(cell("th", column, text) for column, text in enumerate(heads))
    lines = [
        "<tr>"
        + "".join(
            cell("td", column, text, links[number] if links and column == 0 else "")
            for column, text in enumerate(row)
        )
        + "</tr>"
        for number, row in enumerate(rows)
    ]
    body = "\n".join(lines)
    return (
        f'<div class="wide"><table class="{escape(kind)}"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def facts_list(facts: Iterable[tuple[str, str]]) -> str:
    """Return named facts as a row of boxes."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f'<dl class="facts">{items}</dl>'


def figure_html(picture: str, title: str, caption: Iterable[tuple[str, str]], kind: str = "") -> str:
    """Return a figure: a picture as HTML, and a caption of text with named parts."""
    parts = "".join(
        f"<span><b>{escape(name)}</b> {escape(text)}</span> " if name else f"{escape(text)} "
        for name, text in caption
    )
    return (
        f'<figure class="{escape(kind)}">\n<h3>{escape(title)}</h3>\n<div class="wide">{picture}</div>\n'
        f"<figcaption>{parts.strip()}</figcaption>\n</figure>"
    )
