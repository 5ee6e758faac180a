"""One page that puts packs side by side, in Markdown."""

from collections.abc import Callable, Mapping

Figures = Mapping[str, object]
Row = tuple[str, tuple[str, ...], Callable[[object], str]]


def percent(value: object) -> str:
    return f"{100 * value:.2f} %" if isinstance(value, float) else "-"


def rate(value: object) -> str:
    """A rate with its interval and its trials."""
    if not isinstance(value, Mapping) or value.get("rate") is None:
        return "-"
    low, high = 100 * value["low"], 100 * value["high"]
    return f"{100 * value['rate']:.1f} % ({low:.1f} to {high:.1f}; {value['trials']})"


ROWS: tuple[Row, ...] = (
    ("pairs, right", ("verification", "accuracy"), percent),
    ("pairs, equal error rate", ("verification", "equal_error_rate"), percent),
    ("same person missed at 1 % false", ("verification", "false_rejects_at", "0.01"), percent),
    ("pairs with a face not found", ("verification", "pairs_with_a_face_not_found"), str),
    ("faces >= 50 px found", ("detection", "recall_from_50_px"), rate),
    ("false faces a photo", ("detection", "false_faces_per_photo"), str),
    (
        "faces >= 50 px found, a false one in ten photos",
        ("detection", "recall_from_50_px_at_that_threshold"),
        rate,
    ),
    ("mask flag, balanced", ("masks", "balanced_accuracy"), percent),
    ("masks seen", ("masks", "masks_seen"), rate),
    ("bare faces spared", ("masks", "bare_faces_spared"), rate),
    ("liveness, equal error rate", ("liveness", "equal_error_rate"), percent),
    ("attacks accepted at 0.5 (APCER)", ("liveness", "at_threshold", "0.5", "apcer"), rate),
    ("live faces refused at 0.5 (BPCER)", ("liveness", "at_threshold", "0.5", "bpcer"), rate),
)


def comparison(packs: Mapping[str, Figures], plots: list[str], how: str) -> str:
    """The page: a row a figure, a column a pack, `-` where nothing was measured."""
    names = list(packs)
    lines = [
        "# Packs compared",
        "",
        f"Made by `{how}`. In brackets: the interval at 95 % and the number of trials.",
        "",
        f"| | {' | '.join(names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    for title, keys, show in ROWS:
        cells = [_cell(packs[name], keys, show) for name in names]
        if any(cell != "-" for cell in cells):
            lines.append(f"| {title} | {' | '.join(cells)} |")
    lines += ["", *(f"![{plot}]({plot})" for plot in plots), ""]
    return "\n".join(lines)


def _cell(figures: Figures, keys: tuple[str, ...], show: Callable[[object], str]) -> str:
    value: object = figures
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return "-"
        value = value[key]
    return show(value)
