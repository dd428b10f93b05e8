"""Where the boxes and lines of a drawn graph go: layers from left to right, with few crossings. Pure.

The usual way (Sugiyama): a task stands one layer after the last of its needs; a line that passes layers gets a
waypoint in each, so that it goes around boxes; a few sweeps order each layer by the middle of its neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 168, 40
GAP_X, GAP_Y = 56, 14
MARGIN = 16
# A waypoint is thinner than a box.
WAYPOINT_HEIGHT = 10
SWEEPS = 8
MOST_DRAWN = 60
"""Tasks a person still reads as a graph."""
_LABEL_CHARACTERS = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A task on the drawing."""

    key: str
    """The task's key."""
    label: str
    """The key, cut to fit."""
    x: int
    """Left edge."""
    y: int
    """Upper edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A graph with its places decided."""

    width: int
    """Of the whole, in pixels."""
    height: int
    """Of the whole, in pixels."""
    boxes: tuple[Box, ...]
    """One for each task."""
    lines: tuple[str, ...]
    """Paths of SVG, one from each need to the task that needs it."""


@dataclass(frozen=True, slots=True)
class _Waypoint:
    """Where a long line crosses a layer."""

    source: str
    target: str
    layer: int


_Node = str | _Waypoint


def draw(needs: Mapping[str, Sequence[str]]) -> Drawing:
    """Return the drawing of an acyclic graph given as task key → keys it needs, each after all it needs."""
    layer_of: dict[str, int] = {}
    for key, needed in needs.items():
        layer_of[key] = max((layer_of[need] + 1 for need in needed), default=0)
    paths = _paths(needs, layer_of)
    layers: list[list[_Node]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for key, layer in layer_of.items():
        layers[layer].append(key)
    for path in paths:
        for node in path:
            if isinstance(node, _Waypoint):
                layers[node.layer].append(node)
    _order(layers, paths)
    return _placed(layers, paths)


def _paths(needs: Mapping[str, Sequence[str]], layer_of: Mapping[str, int]) -> list[tuple[_Node, ...]]:
    return [
        (need, *(_Waypoint(need, key, layer) for layer in range(layer_of[need] + 1, layer_of[key])), key)
        for key, needed in needs.items()
        for need in needed
    ]


def _order(layers: list[list[_Node]], paths: Sequence[tuple[_Node, ...]]) -> None:
    """Sort each layer by the mean place of its neighbours, forward and back."""
    before: dict[_Node, list[_Node]] = {node: [] for layer in layers for node in layer}
    after: dict[_Node, list[_Node]] = {node: [] for layer in layers for node in layer}
    for path in paths:
        for left, right in itertools.pairwise(path):
            before[right].append(left)
            after[left].append(right)
    for sweep in range(SWEEPS):
        neighbours, sweeping = (before, layers) if sweep % 2 == 0 else (after, layers[::-1])
        places: dict[_Node, float] = {}
        for layer in sweeping:
            own = {node: _place(index, len(layer)) for index, node in enumerate(layer)}
            wanted = {
                node: _mean([places[other] for other in neighbours[node]]) if neighbours[node] else own[node]
                for node in layer
            }
            layer.sort(key=wanted.__getitem__)
            places |= {node: _place(index, len(layer)) for index, node in enumerate(layer)}


def _place(index: int, count: int) -> float:
    """Return where in its layer a node stands: 0 is the middle."""
    return index - (count - 1) / 2


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _placed(layers: Sequence[Sequence[_Node]], paths: Sequence[tuple[_Node, ...]]) -> Drawing:
    heights = [sum(map(_height, layer)) + GAP_Y * (len(layer) - 1) for layer in layers]
    tallest = max(heights, default=0)
    middles: dict[_Node, tuple[int, int]] = {}  # left edge, vertical middle
    for index, layer in enumerate(layers):
        y = MARGIN + (tallest - heights[index]) // 2
        for node in layer:
            middles[node] = (MARGIN + index * (WIDTH + GAP_X), y + _height(node) // 2)
            y += _height(node) + GAP_Y
    boxes = tuple(
        Box(key=node, label=_label(node), x=x, y=middle - HEIGHT // 2)
        for node, (x, middle) in middles.items()
        if isinstance(node, str)
    )
    return Drawing(
        width=max(1, len(layers)) * (WIDTH + GAP_X) - GAP_X + 2 * MARGIN,
        height=tallest + 2 * MARGIN,
        boxes=boxes,
        lines=tuple(_line([middles[node] for node in path]) for path in paths),
    )


def _line(places: Sequence[tuple[int, int]]) -> str:
    """Write a path from the right edge of the first place to the left edge of the last, level through those between."""
    x, y = places[0][0] + WIDTH, places[0][1]
    written = [f"M{x} {y}"]
    for left, middle in places[1:]:
        half = (left - x) // 2
        written.append(f"C{x + half} {y} {left - half} {middle} {left} {middle}")
        x, y = left, middle
        if (left, middle) != places[-1]:
            x = left + WIDTH
            written.append(f"H{x}")
    return " ".join(written)


def _height(node: _Node) -> int:
    return HEIGHT if isinstance(node, str) else WAYPOINT_HEIGHT


def _label(key: str) -> str:
    return key if len(key) <= _LABEL_CHARACTERS else f"{key[: _LABEL_CHARACTERS - 1]}…"
