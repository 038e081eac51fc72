# ruff: noqa: INP001  a script on its own, not part of a package
"""Derive dashboards/plots/data/germany.json from countries-10m.json of the npm package world-atlas 2.0.2.

Natural Earth's country borders are in the public domain. Usage, from the top of the repository:

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python tools/derive_outline.py package/countries-10m.json dashboards/plots/data/germany.json
"""

import json
import math
import sys
from pathlib import Path
from typing import Any, Final

GERMANY: Final = "276"
"""ISO 3166-1 numeric."""
TOLERANCE_KM: Final = 2.2
MIN_KM2: Final = 25.0
KM_PER_DEGREE: Final = 111.2
WEST_TO_EAST: Final = math.cos(math.radians(51.2))

Point = tuple[float, float]


def decode_arc(topology: dict[str, Any], index: int) -> list[Point]:
    """Return one arc's points in degrees; a negative index (one's complement) means backwards."""
    scale, translate = topology["transform"]["scale"], topology["transform"]["translate"]
    x = y = 0
    points = []
    for dx, dy in topology["arcs"][index if index >= 0 else ~index]:
        x, y = x + dx, y + dy
        points.append((x * scale[0] + translate[0], y * scale[1] + translate[1]))
    return points if index >= 0 else points[::-1]


def decode_ring(topology: dict[str, Any], arcs: list[int]) -> list[Point]:
    """Return the points of joined arcs; each arc begins with the last point of the one before."""
    ring: list[Point] = []
    for index in arcs:
        ring.extend(decode_arc(topology, index)[1 if ring else 0 :])
    return ring


def to_km(point: Point) -> Point:
    """Return kilometres on a plane that touches the middle of Germany."""
    return point[0] * KM_PER_DEGREE * WEST_TO_EAST, point[1] * KM_PER_DEGREE


def area_km2(ring: list[Point]) -> float:
    """Return the area by the shoelace formula."""
    flat = [to_km(point) for point in ring]
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(flat, flat[1:] + flat[:1], strict=True))) / 2


def distance_km(point: Point, start: Point, end: Point) -> float:
    """Return a point's distance from a segment."""
    (px, py), (ax, ay), (bx, by) = to_km(point), to_km(start), to_km(end)
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    along = max(0.0, min(1.0, ((px - ax) * dx + (py - ay) * dy) / length)) if length else 0.0
    return math.hypot(px - ax - along * dx, py - ay - along * dy)


def simplify(points: list[Point], tolerance_km: float) -> list[Point]:
    """Return a line with fewer points (Douglas and Peucker 1973)."""
    if len(points) < 3:
        return points
    distances = [distance_km(point, points[0], points[-1]) for point in points[1:-1]]
    far = max(range(len(distances)), key=distances.__getitem__)
    if distances[far] <= tolerance_km:
        return [points[0], points[-1]]
    return simplify(points[: far + 2], tolerance_km)[:-1] + simplify(points[far + 1 :], tolerance_km)


def germany(topology: dict[str, Any]) -> list[list[list[float]]]:
    """Return rings of [longitude, latitude], the largest first, without the smallest islands."""
    countries = topology["objects"]["countries"]["geometries"]
    shape = next(country for country in countries if country.get("id") == GERMANY)
    polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
    rings = [decode_ring(topology, polygon[0]) for polygon in polygons]
    kept = sorted((ring for ring in rings if area_km2(ring) >= MIN_KM2), key=area_km2, reverse=True)
    thin = []
    for ring in kept:
        middle = len(ring) // 2
        halves = simplify(ring[: middle + 1], TOLERANCE_KM)[:-1] + simplify(ring[middle:], TOLERANCE_KM)
        thin.append([[round(longitude, 3), round(latitude, 3)] for longitude, latitude in halves])
    return thin


def main() -> None:
    """Read the topology named first, write the outline named second."""
    topology = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    rings = germany(topology)
    source = "Natural Earth 1:10m (public domain), world-atlas 2.0.2, thinned by tools/derive_outline.py"
    outline = {"source": source, "unit": "degrees, [longitude, latitude]", "rings": rings}
    text = json.dumps(outline, separators=(",", ":")) + "\n"
    Path(sys.argv[2]).write_text(text, encoding="utf-8", newline="\n")
    sys.stderr.write(f"{len(rings)} rings, {sum(map(len, rings))} points, {len(text)} bytes\n")


if __name__ == "__main__":
    main()
