"""The SVG of a flow's graph: calls in layers, each below its upstream calls."""

from __future__ import annotations

from typing import NamedTuple
from xml.sax.saxutils import escape

# In pixels. The width of a letter is an estimate that is large enough for the font.
_LETTER, _PADDING, _HEIGHT = 7.4, 14, 36
_ACROSS, _DOWN, _MARGIN = 24, 56, 20
_STYLE = (
    "text{font:13px ui-monospace,monospace;text-anchor:middle;dominant-baseline:central;fill:#1f2937}"
    "rect{fill:#f8fafc;stroke:#475569;stroke-width:1.4}.flow{fill:#ecfdf5;stroke:#047857}"
    "path{fill:none;stroke:#64748b;stroke-width:1.3}"
)


class Node(NamedTuple):
    """A call in a drawing. `kind` is `task`, `flow` or `map`; `upstream` lists its upstream calls by name."""

    name: str
    kind: str
    upstream: tuple[str, ...]
    label: str


def render(title: str, nodes: list[Node]) -> str:
    """Render the SVG image of a graph.

    Args:
        title: the title of the image.
        nodes: the calls, each after its upstream calls.
    """
    layers = _layers(nodes)
    widths = {node.name: len(node.label) * _LETTER + 2 * _PADDING for node in nodes}
    across = [sum(widths[node.name] for node in layer) + _ACROSS * (len(layer) - 1) for layer in layers]
    width = max(across, default=len(title) * _LETTER) + 2 * _MARGIN
    height = len(layers) * (_HEIGHT + _DOWN) - _DOWN + 2 * _MARGIN if layers else 2 * _MARGIN
    places: dict[str, tuple[float, float]] = {}
    for depth, layer in enumerate(layers):
        x = (width - across[depth]) / 2
        for node in layer:
            places[node.name] = (x + widths[node.name] / 2, _MARGIN + depth * (_HEIGHT + _DOWN))
            x += widths[node.name] + _ACROSS
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L8,4 L0,8 z" style="fill:#64748b;stroke:none"/></marker></defs>',
        *(_edge(places[upstream], places[node.name]) for node in nodes for upstream in node.upstream),
        *(_box(node, places[node.name], widths[node.name]) for node in nodes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _layers(nodes: list[Node]) -> list[list[Node]]:
    """Assign each call to the layer below its lowest upstream call, and place it near its upstream calls."""
    depths: dict[str, int] = {}
    layers: list[list[Node]] = []
    for node in nodes:
        depth = max((depths[name] + 1 for name in node.upstream), default=0)
        depths[node.name] = depth
        if depth == len(layers):
            layers.append([])
        layers[depth].append(node)
    position = {node.name: at / max(len(layers[0]), 1) for at, node in enumerate(layers[0])} if layers else {}
    for layer in layers[1:]:
        layer.sort(key=lambda node: sum(position[name] for name in node.upstream) / len(node.upstream))
        position.update({node.name: (at + 0.5) / len(layer) for at, node in enumerate(layer)})
    return layers


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0], start[1] + _HEIGHT, end[0], end[1]
    bend = min((y2 - y1) / 2, _DOWN)
    return (
        f'<path d="M{x1:.1f},{y1:.1f} C{x1:.1f},{y1 + bend:.1f} {x2:.1f},{y2 - bend:.1f} {x2:.1f},{y2:.1f}" '
        'marker-end="url(#tip)"/>'
    )


def _box(node: Node, place: tuple[float, float], width: float) -> str:
    x, y = place[0] - width / 2, place[1]
    kind = ' class="flow"' if node.kind == "flow" else ""
    size = f'width="{width:.1f}" height="{_HEIGHT}" rx="{3 if node.kind == "flow" else 9}"{kind}'
    behind = f'<rect x="{x + 4:.1f}" y="{y + 4:.1f}" {size}/>' if node.kind == "map" else ""
    text = f'<text x="{place[0]:.1f}" y="{y + _HEIGHT / 2:.1f}">{escape(node.label)}</text>'
    return f'<g>{behind}<rect x="{x:.1f}" y="{y:.1f}" {size}/>{text}</g>'
