"""What a notebook shows of an object: small tables, the long tail as a curve, a strip of photos.

HTML without a script, in the colours of the notebook, light or dark. Every text is escaped: names come from
outside.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from arboretum_tools.taxa.bands import Band, shot_band
from arboretum_tools.wording import counted

# Those of the contact sheet, bright enough for a dark page.
_COLORS: dict[Band, str] = {"many": "#2a8c9a", "medium": "#d99320", "few": "#cf5583"}

# Bars of a curve: a bar stands for several classes where there are more.
_MOST_BARS = 400

_HEIGHT = 90

# Rows of a report that are shown.
_MOST_ROWS = 60


class Reported(Protocol):
    """A report: what it says as JSON."""

    def to_dict(self) -> dict[str, Any]:
        """All of it."""


@dataclass(frozen=True, slots=True)
class View:
    """Something that a notebook shows where it is the last line of a cell.

    Attributes:
        html: what is shown.
    """

    html: str

    def _repr_html_(self) -> str:
        return self.html


def report(said: Reported, *views: str) -> str:
    """What a report says, as a small table: numbers and texts, and those of its groups beside their names."""
    title = re.sub(r"(?<=[a-z])([A-Z])", lambda letter: f" {letter[1].lower()}", type(said).__name__)
    rows = list(_rows(said.to_dict()))
    more = line(f"and {len(rows) - _MOST_ROWS:,} more in to_dict()") if len(rows) > _MOST_ROWS else ""
    return card(title, *views, table(("", ""), rows[:_MOST_ROWS]), more)


def _rows(said: Mapping[str, Any], within: str = "") -> Iterable[tuple[str, object]]:
    for key, value in said.items():
        name = f"{within}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            # Groups in groups are for programs.
            yield from _rows(value, f"{name}, ") if not within else ()
        elif isinstance(value, list | tuple):
            if value:
                yield name, counted(len(value), "entry") if len(value) != 1 else str(value[0])
        elif value is not None and value != "":
            yield name, f"{value:.4g}" if isinstance(value, float) else value


def card(title: str, *parts: str) -> str:
    """A title over some views."""
    return f"<div><p><b>{html.escape(title)}</b></p>{''.join(parts)}</div>"


def line(text: str) -> str:
    """A line of text."""
    return f"<p>{html.escape(text)}</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as a table, whole numbers with their thousands separated and to the right."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td style="text-align:right">{value:,}</td>'
    return f'<td style="text-align:left">{html.escape("" if value is None else str(value))}</td>'


def curve(counts: Sequence[int]) -> str:
    """The long tail as an SVG: a bar a class from head to tail, in the colours of the shot bands."""
    bars = min(len(counts), _MOST_BARS)
    most = max([1, *counts])
    step = 600 / max(1, bars)
    drawn = []
    for bar in range(bars):
        count = counts[bar * len(counts) // bars]
        # No class with a photo vanishes.
        high = max(1.0, _HEIGHT * count / most) if count else 0.0
        drawn.append(
            f'<rect x="{bar * step:.1f}" y="{_HEIGHT - high:.1f}" width="{max(0.8, step * 0.9):.1f}" '
            f'height="{high:.1f}" fill="{_COLORS[shot_band(count)]}"/>'
        )
    ends = f"{counts[0]:,} to {counted(counts[-1], 'photo')}" if counts else "no classes"
    return (
        f'<svg viewBox="0 0 600 {_HEIGHT}" width="600" height="{_HEIGHT}" role="img" '
        'style="display:block;margin-bottom:10px" '
        f'aria-label="Long tail of {counted(len(counts), "class")}, {ends}">{"".join(drawn)}</svg>'
    )


def strip(photos: Iterable[tuple[bytes, str]]) -> str:
    """Photos side by side: small JPEGs, each with a caption."""
    shown = "".join(
        '<figure style="margin:0 8px 8px 0;width:120px;display:inline-block;vertical-align:top">'
        f'<img src="data:image/jpeg;base64,{base64.b64encode(data).decode()}" alt="{html.escape(caption)}" '
        'style="width:120px;height:120px;object-fit:cover;border-radius:8px">'
        f'<figcaption style="font-size:80%">{html.escape(caption)}</figcaption></figure>'
        for data, caption in photos
    )
    return f"<div>{shown}</div>"
