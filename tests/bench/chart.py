"""Draws bars as SVG, on a light ground, so that they can be read on any page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 860, 235, 80, 16, 6, 44
INK, GREY, GRID, OURS, OTHERS, YARDSTICKS = "#1f2328", "#59636e", "#d8dee4", "#1a7f37", "#8c959f", "#c8d1da"
NAMES = {"raw", "asgi", "asgi-plain", "nginx", "direct"}


def colour(name: str) -> str:
    return OURS if name.startswith("gateway") else YARDSTICKS if name in NAMES else OTHERS


def bars(title: str, panels: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> str:
    """Return panels of horizontal bars over one logarithmic axis."""
    values = [value for _, rows in panels for _, value in rows] or [1.0]
    low, high = math.floor(math.log10(min(values)) - 0.3), math.ceil(math.log10(max(values)))
    scale = (WIDTH - LEFT - RIGHT) / max(1, high - low)
    parts, y = [text(16, 24, title, 15, INK, weight="600")], float(TOP)
    for heading, rows in panels:
        parts.append(text(16, y + 16, heading, 13, INK, weight="600"))
        y += 28
        bottom = y + len(rows) * (BAR + GAP)
        for power in range(low, high + 1):
            x = LEFT + (power - low) * scale
            parts.append(f'<line x1="{x:.1f}" y1="{y - 4:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{GRID}"/>')
            parts.append(text(x, bottom + 13, f"{10.0**power:g}", 11, GREY, anchor="middle"))
        for name, value in rows:
            length = max(1.0, (math.log10(value) - low) * scale)
            parts.append(text(LEFT - 8, y + 12, name, 12, INK, anchor="end"))
            where = f'x="{LEFT}" y="{y:.1f}" width="{length:.1f}" height="{BAR}"'
            parts.append(f'<rect {where} rx="2" fill="{colour(name)}"/>')
            parts.append(text(LEFT + length + 6, y + 12, f"{value:.3g}", 12, GREY))
            y += BAR + GAP
        y += 30
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}" height="{y:.0f}"'
    ground = f'<rect width="{WIDTH}" height="{y:.0f}" rx="6" fill="#ffffff"/>'
    font = 'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"'
    label = f'role="img" aria-label="{escape(title)}"'
    return "\n".join([f"<svg {box} {font} {label}>", ground, *parts, "</svg>", ""])


def text(
    x: float, y: float, said: str, size: int, ink: str = GREY, *, weight: str = "400", anchor: str = "start"
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{ink}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(said)}</text>'
