"""Save figures as PNG, and as inline SVG whose colours follow the page's light or dark theme."""

import io
import re
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from gridfleet.broker.storage.replacing import replacing
from gridfleet.dashboards.plots.style import COLOURS, PNG_DPI, TITLE_POINTS

_HEAD: Final = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_META: Final = re.compile(r"\s*<metadata>.*?</metadata>|\s*<style type=\"text/css\">.*?</style>", re.DOTALL)
_SIZE: Final = re.compile(r'<svg [^>]*?width="[^"]*" height="[^"]*" viewBox="[^"]*"')
_TAGS: Final = re.compile(r"<[^>]*>")
_HEX: Final = re.compile(r"#[0-9a-f]{6}\b")
_TOKENS: Final = {colour.light: token for token, colour in COLOURS.items()}
_IDS: Final = re.compile(r'( id="|"#|url\(#)')
_FONT: Final = re.compile(r" font-family: [^;\"]+;?")


def lay_out(figure: Figure) -> None:
    """Place what a figure contains, once; whatever draws the figure afterwards does not do it again.

    Laying out a figure takes as long as drawing it, and so does drawing it to lay it out.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure with its title as PNG; the same figure gives the same bytes."""
    lay_out(figure)
    with replacing(path, binary=True) as file:
        figure.savefig(file, format="png", dpi=PNG_DPI, metadata={"Software": None})


def inline_svg(figure: Figure, name: str, title: str) -> str:
    """Return a figure as SVG for a page: without its title, and with unique ids."""
    lay_out(figure)
    buffer = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = _META.sub("", _HEAD.sub("", buffer.getvalue()))
    width, height = (72 * inches for inches in figure.get_size_inches())
    head = (
        f'<svg role="img" aria-label="{title}" viewBox="0 {TITLE_POINTS} {width:g} {height - TITLE_POINTS:g}"'
    )
    text = _SIZE.sub(head, text, count=1)
    text = _TAGS.sub(lambda tag: _adapt(tag[0], name), text)
    return re.sub(r"\n\s*", "\n", text)


def _adapt(tag: str, name: str) -> str:
    """Return a tag with ids of this figure, and with the page's font and colours."""
    tag = _IDS.sub(rf"\1{name}-", tag)
    tag = _FONT.sub("", tag)
    return _HEX.sub(lambda found: f"var(--{_TOKENS[found[0]]})" if found[0] in _TOKENS else found[0], tag)
