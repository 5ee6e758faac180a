"""Functions stay short: the house is read far more often than it is written."""

import ast
from pathlib import Path
from statistics import median

import app

ROOT = Path(app.__file__).parent
MEDIAN_LINES = 8
MOST_LINES = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions():
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", lines(node)


def lines(node: Function) -> int:
    """From `def` to the last statement, without the docstring."""
    first = node.body[0]
    documented = ast.get_docstring(node, clean=False) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def test_half_of_all_functions_have_eight_lines_or_fewer():
    assert median(count for _, count in functions()) <= MEDIAN_LINES


def test_no_function_is_longer_than_a_screen():
    assert [name for name, count in functions() if count > MOST_LINES] == []


def test_a_docstring_does_not_count():
    [node] = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    return 1\n').body

    assert isinstance(node, Function)
    assert lines(node) == 2
