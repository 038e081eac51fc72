"""The glossary names each thing once, and its terms are the ones in use."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]
GLOSSARY: Final = ROOT / "docs" / "glossary.md"
CHANGELOG: Final = ROOT / "CHANGELOG.md"
"""It names the words that were replaced."""
PRODUCT: Final = ("broker", "devices", "dashboards", "provisioning")

PAGE: Final = ROOT / "console"
_TYPESCRIPT: Final = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<text>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)""",
    re.DOTALL,
)
"""A comment or a text of TypeScript or CSS."""
_READ_ATTRIBUTES: Final = frozenset({"title", "aria-label", "placeholder", "content"})

METAPHORS: Final = (
    "anew", "mend", "mends", "mended", "misfit", "whoever", "good-bye", "none of ours", "in vain",
    "of its own accord", "wish", "wishes", "bettered",
)  # fmt: skip
"""Words that a reader has to translate; the field has its own for each."""


class Entry(NamedTuple):
    """One row of the glossary."""

    terms: tuple[str, ...]
    meaning: str
    instead: tuple[str, ...]


def entries() -> list[Entry]:
    rows = re.findall(
        r"^\| (?!term|---)(.+?) \| (.+?) \|(.*)\|$", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE
    )
    return [Entry(_words(terms), meaning, _words(instead)) for terms, meaning, instead in rows]


def _words(cell: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in cell.split(",")) if word)


@cache
def texts() -> list[tuple[str, str]]:
    """Return where a person reads something, and what."""
    return list(_texts())


def _texts() -> Iterator[tuple[str, str]]:
    """Yield where a person reads something, and what: documentation, docstrings, comments, messages."""
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        if path not in {GLOSSARY, CHANGELOG}:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    for folder in PRODUCT:
        for path in (ROOT / folder).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            for token in tokenize.generate_tokens(io.StringIO(source).readline):
                if token.type in (tokenize.STRING, tokenize.COMMENT):
                    yield f"{path.relative_to(ROOT)}:{token.start[0]}", token.string

    for path in (*(PAGE / "src").rglob("*.ts"), *(PAGE / "src").rglob("*.css")):
        yield from _of_typescript(path)
    page = PAGE / "index.html"
    for line, text in html_texts(page.read_text(encoding="utf-8")):
        yield f"{page.relative_to(ROOT)}:{line}", text


def _of_typescript(path: Path, group: str = "") -> Iterator[tuple[str, str]]:
    """Yield the comments and texts of a file of the page, or one of the two."""
    source = path.read_text(encoding="utf-8")
    for found in _TYPESCRIPT.finditer(source):
        if not group or found[group]:
            yield f"{path.relative_to(ROOT)}:{source.count(chr(10), 0, found.start()) + 1}", found[0]


def html_texts(source: str) -> list[tuple[int, str]]:
    """Return what a person reads on a page, with its line: text, tooltips, names for screen readers."""
    found: list[tuple[int, str]] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            if data.strip():
                found.append((self.getpos()[0], data.strip()))

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
            found.extend(
                (self.getpos()[0], value) for name, value in attrs if name in _READ_ATTRIBUTES and value
            )

    Reader(convert_charrefs=True).feed(source)
    return found


def uses(word: str) -> list[str]:
    found = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])", re.IGNORECASE)
    return [place for place, text in texts() if found.search(text)]


def test_every_term_is_explained_once() -> None:
    terms = [term for entry in entries() for term in entry.terms]
    assert len(terms) > 50
    assert sorted(terms) == sorted(set(terms))
    assert all(len(entry.meaning) > 10 for entry in entries())


@pytest.mark.parametrize("term", [term for entry in entries() for term in entry.terms])
def test_every_term_is_used(term: str) -> None:
    """A term that nobody uses would define nothing."""
    singular = re.compile(rf"(?<!\w){re.escape(term)}", re.IGNORECASE)
    assert any(singular.search(text) for _, text in texts())


@pytest.mark.parametrize("word", [*METAPHORS, *(word for entry in entries() for word in entry.instead)])
def test_no_other_word_stands_for_it(word: str) -> None:
    assert uses(word) == []


def test_the_page_is_read_as_people_read_it() -> None:
    code = "const wish = read(`${a} tap`); // a page's own\nfoo('crew'); /* desk */"
    found = [match[0] for match in _TYPESCRIPT.finditer(code)]
    assert found == ["`${a} tap`", "// a page's own", "'crew'", "/* desk */"]
    assert html_texts('<p title="one">two <b hidden>three</b></p>\n<input placeholder="four" />') == [
        (1, "one"),
        (1, "two"),
        (1, "three"),
        (2, "four"),
    ]
    places = {place.partition(":")[0] for place, _ in texts()}
    assert {"console/index.html", "console/src/main.ts", "console/src/style.css"} <= places


def test_public_docstrings_do_not_speak_in_riddles() -> None:
    """Messages are published and received; no device hears or tells anything."""
    spoken = re.compile(r"\b(hears?|heard|tells?|told|says to|said to)\b")
    found = [
        f"{place}: {text}"
        for path in (PAGE / "src").rglob("*.ts")
        for place, text in _of_typescript(path, "comment")
        if spoken.search(text)
    ]
    for folder in PRODUCT:
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    text = ast.get_docstring(node)
                    if text and spoken.search(text):
                        found.append(f"{path.relative_to(ROOT)}: {text.splitlines()[0]}")
    assert found == []
