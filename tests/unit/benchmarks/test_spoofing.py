"""Where the lines of spoofing are drawn, and what a server's verdicts come to, found by hand."""

import importlib
import tomllib
from pathlib import Path

import numpy as np
import pytest

offline = importlib.import_module("benchmarks.accuracy.spoofing")
online = importlib.import_module("benchmarks.accuracy.spoofing_http")


def test_a_line_refuses_no_more_live_faces_than_its_share():
    live = np.arange(1, 101) / 100

    assert offline.threshold(live, 0.0) == 0.01
    assert np.mean(live < offline.threshold(live, 0.03)) == pytest.approx(0.03)
    assert np.mean(live < offline.threshold(live, 0.105)) == pytest.approx(0.10)


def test_the_lines_come_from_one_half_and_the_rates_from_the_other():
    chosen, others = np.full(100, 0.5), np.array([0.4, 0.9])
    attacks = np.array([0.6, 0.1, 0.2, 0.3])
    scores = offline.Scores(
        np.concatenate([chosen, others, attacks]),
        np.repeat([True, True, False], [100, 2, 4]),
        np.repeat([True, False, False], [100, 2, 4]),
    )

    told = tomllib.loads("\n".join(offline.table("spoofing_points", scores, "by hand")))

    point = {"threshold": 0.5, "apcer": 0.25, "bpcer": 0.5}
    lines = {"weak": point, "balanced": point, "strict": point}
    assert told["spoofing_points"] == {"measured_on": "by hand", **lines}


def test_the_equal_error_rate_is_where_both_rates_meet():
    chances, live = np.array([0.9, 0.8, 0.3, 0.7, 0.2, 0.1]), np.repeat([True, False], 3)

    rate = offline.equal_error_rate(offline.Scores(chances, live, np.ones(6, bool)))

    assert rate == pytest.approx(1 / 3)


def test_verdicts_are_counted_by_half_condition_and_kind():
    def said(person, spoofing, *, live):
        photo = offline.Photo(Path("a.jpg"), person, live)
        return [online.Verdict(photo, name, spoofing) for name in ("weak", "balanced", "strict")]

    verdicts = [
        *said("ada", False, live=True),
        *said("ada", True, live=False),
        *said("bob", True, live=True),
        *said("bob", False, live=True),
        *said("bob", None, live=True),
        *said("bob", False, live=False),
    ]

    told = online.report(verdicts, ["ada", "bob"])

    assert told["chosen"]["weak"] == {"live": 1, "attacks": 1, "apcer": 0.0, "bpcer": 0.0}
    assert told["others"]["strict"] == {"live": 2, "attacks": 1, "apcer": 1.0, "bpcer": 0.5}
