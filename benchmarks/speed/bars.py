"""What was promised of the server's speed, and whether a run keeps it."""

from collections.abc import Mapping
from typing import Any

Figures = dict[str, float]

# The bound of each ratio, and whether it is the least or the most.
BARS = {
    "detect_throughput": (0.90, ">="),
    "register_throughput": (0.85, ">="),
    "search_throughput": (0.85, ">="),
    "idle_search": (1.3, "<="),
    "search_100k_batched": (0.6, ">="),
    "search_1k": (0.30, ">="),
    "versus_insightface_time": (0.95, "<="),
    "versus_insightface_throughput": (1.3, ">="),
    "twelve_megapixel": (2.5, "<="),
    "growth_slope": (1.1, "<="),
    "idle_memory_mb": (400.0, "<="),
}
NO_PACK = "no pack of SCRFD and ArcFace is installed: name its folder with --model-path"


def ratios(
    rates: Figures, alone: Figures, theirs: Figures | None, memory: float
) -> dict[str, float | None]:
    """From rates a second, milliseconds alone, what insightface took, and megabytes."""
    outside = alone["search_image_100k"] - alone["bare_embed"]
    growth = alone["search_100k"] - alone["search_1k"]
    return {
        "detect_throughput": rates["detect"] / rates["bare_detect"],
        "register_throughput": rates["register"] / rates["bare_embed"],
        "search_throughput": rates["search"] / rates["bare_embed"],
        "idle_search": outside / alone["bare_index"],
        "search_100k_batched": rates["search_100k"] / rates["bare_batched"],
        "search_1k": rates["search_1k"] / rates["healthz"],
        "versus_insightface_time": theirs["ours_ms"] / theirs["theirs_ms"] if theirs else None,
        "versus_insightface_throughput": (
            theirs["ours_per_s"] / theirs["theirs_per_s"] if theirs else None
        ),
        "twelve_megapixel": alone["detect_12mp"] / alone["detect"],
        "growth_slope": growth / (alone["bare_100k"] - alone["bare_1k"]),
        "idle_memory_mb": memory,
    }


def floors(alone: Figures) -> Figures:
    """What some ratios are of the bare pipeline, with no server around it."""
    return {"twelve_megapixel": alone["bare_detect_12mp"] / alone["bare_detect"]}


def judged(measured: Mapping[str, float | None]) -> dict[str, Any]:
    """The ratios, their bars, and why some are unknown."""
    bars = {}
    for name, (bound, sign) in BARS.items():
        ratio = measured[name]
        held = None if ratio is None else (ratio >= bound if sign == ">=" else ratio <= bound)
        bars[name] = {"sign": sign, "bound": bound, "held": held}
    unknown = {name: NO_PACK for name, ratio in measured.items() if ratio is None}
    return {"ratios": dict(measured), "bars": bars, "why_null": unknown}


def show(result: Mapping[str, Any]) -> None:
    """Print the parts and the bars."""
    print(f"pack {result['pack']}, {result['cores']} cores\n")
    print(f"{'part':14} {'ours ms':>9} {'floor ms':>9} {'ratio':>7}")
    for name, row in result["parts"].items():
        print(f"{name:14} {row['ms']:9.3f} {row['floor_ms']:9.3f} {row['ratio']:7.2f}")
    print()
    for name, ratio in result["ratios"].items():
        bar = result["bars"][name]
        bound = f"bar {bar['sign']} {bar['bound']:g}"
        if name in result["floors"]:
            bound += f"; {result['floors'][name]:.2f} without a server"
        if ratio is None:
            print(f"-       {name:30} not measured: {result['why_null'][name]}")
        else:
            print(f"{'held' if bar['held'] else 'MISSED':7} {name:30} {ratio:9.2f} ({bound})")
