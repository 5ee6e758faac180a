"""The documents held against the code they speak of, and against each other."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.api.codes import ALPHA, LIVENESS, SPOOFING, SPOOFING_V2, V1, V1_2021, V2
from app.api.revisions import REVISIONS
from app.api.revisions import V2 as V2_EDITION
from app.domain import errors
from app.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("README*.md"), *DOCS.rglob("*.md")])
APP = ROOT / "app"

# The launcher's own, which no setting of the server is.
OF_THE_LAUNCHER = {"FACERECO_VENV"}

BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
MOST_FACES = "faces reported of a picture, and `limit` of register, at most"

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
SPAN = re.compile(r"`[^`]+`")
WHOLLY_CODE = re.compile(r"(?:`[^`]+`(?:, )?)+")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

EDITIONS = (
    ("v1.0", (V1, SPOOFING)),
    ("2021", (V1_2021,)),
    ("alpha", (ALPHA,)),
    ("v2.0", (V2, SPOOFING_V2, LIVENESS)),
)
CODES = {
    (edition, code.message, code.code)
    for edition, tables in EDITIONS
    for table in tables
    for code in table.values()
}


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", text(page))


def anchors(page: Path) -> set[str]:
    """What a link may lead to within a page, as GitHub names headings."""
    headings = (heading.lower() for _, heading in HEADING.findall(prose(page)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Where a page leads, but for other hosts."""
    found = LINK.findall(prose(page))
    return [target for target in found if not target.startswith(("http://", "https://"))]


def leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    return there.exists() and (not anchor or anchor in anchors(there))


def bounds(metadata: Sequence[object]) -> set[str]:
    """What a setting has to be, as the documents write it."""
    return {
        f"{sign} {getattr(bound, kind)}"
        for bound in metadata
        for kind, sign in BOUNDS.items()
        if getattr(bound, kind, None) is not None
    }


def tables(page: Path) -> list[list[list[str]]]:
    """The cells of each row of each table of a page, without their headers."""
    found = re.findall(r"(?:^\|.*\n)+", prose(page), re.MULTILINE)
    return [[_cells(line) for line in table.splitlines()[2:]] for table in found]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert [target for target in links(page) if not leads_somewhere(page, target)] == []


def test_the_index_of_the_documents_names_each_of_them():
    named = set(links(DOCS / "README.md"))

    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= named


def test_the_documents_name_no_setting_that_does_not_exist():
    named = {name for page in PAGES for name in re.findall(rf"{PREFIX}[A-Z][A-Z_]+", text(page))}

    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert named - OF_THE_LAUNCHER <= known


@pytest.mark.parametrize("page", ["settings.md", "ko/settings.md"])
def test_every_setting_is_told_with_its_range(page):
    told = {
        row[0].strip("`"): set(row[3].split(", ")) for part in tables(DOCS / page) for row in part
    }

    wrong = [
        name
        for name, field in Settings.model_fields.items()
        if not bounds(field.metadata) <= told.get(PREFIX + name.upper(), set())
    ]
    assert wrong == []
    assert told.keys() == {PREFIX + name.upper() for name in Settings.model_fields}


def test_every_code_and_token_of_every_edition_is_told():
    successes = {(edition, name, 0) for edition, name in _successes()}
    partial = {
        (edition.name, edition.partial.message, edition.partial.code)
        for edition in (*REVISIONS.values(), V2_EDITION)
    }

    told = {
        (edition, row[0].strip("`"), int(code))
        for row in tables(DOCS / "errors.md")[0]
        for (edition, _), code in zip(EDITIONS, row[1:], strict=True)
        if code
    }
    assert told == CODES | successes | partial


def test_the_errors_of_a_comparison_are_told_with_the_picture_they_name():
    told = {
        (edition, token.strip("`"), int(code))
        for row in tables(DOCS / "errors.md")[1]
        for token in row[0].split(", ")
        for edition, code in zip(("2021", "alpha"), row[1:], strict=True)
    }

    assert told == {
        (edition, f"Image{code.message}:{picture.value}", code.code)
        for edition, codes in (("2021", V1_2021), ("alpha", ALPHA))
        for kind, code in codes.items()
        if issubclass(kind, errors.ImageError)
        for picture in errors.Picture
    }


def test_what_to_do_is_told_of_every_token():
    explained = {row[0].strip("`") for row in tables(DOCS / "errors.md")[2]}

    assert {token for _, token, _ in CODES} <= explained


def _successes() -> Iterator[tuple[str, str]]:
    for edition in (*REVISIONS.values(), V2_EDITION):
        yield edition.name, edition.success


def _kinds(kind: type[errors.FaceError]) -> Iterator[type[errors.FaceError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


@pytest.mark.parametrize("reason", sorted({kind.detail for kind in _kinds(errors.InternalError)}))
def test_every_reason_of_an_internal_error_is_told(reason):
    assert f"| `{reason}` |" in text(DOCS / "errors.md")


def test_client_teams_are_told_the_limits_that_hold():
    table = {row[0]: row[1:] for row in tables(DOCS / "clients.md")[1]}
    editions = (*(REVISIONS[name] for name in ("v1.0", "2021", "alpha")), V2_EDITION)

    assert table["success is called"] == [f"`{edition.success}`" for edition in editions]
    assert table["bytes of a picture at most"] == [f"{e.image.max_bytes:,}" for e in editions]
    assert table[MOST_FACES] == [str(edition.max_faces) for edition in editions]
    assert table["`limit` of a search at most"] == [str(e.max_matches) for e in editions]


KOREAN = {
    page: DOCS / "ko" / page.name if page.parent == DOCS else ROOT / "README.ko.md"
    for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
}
IN_BOTH = pytest.mark.parametrize(
    ("english", "korean"), [pytest.param(*pair, id=pair[0].name) for pair in KOREAN.items()]
)


def test_every_document_is_there_in_korean_and_no_other():
    there = {*(DOCS / "ko").glob("*.md"), ROOT / "README.ko.md"}

    assert there == set(KOREAN.values())


@IN_BOTH
def test_both_languages_have_the_same_headings(english, korean):
    levels = [[marks for marks, _ in HEADING.findall(prose(page))] for page in (english, korean)]

    assert levels[0] == levels[1]


@IN_BOTH
def test_both_languages_show_the_same_code(english, korean):
    assert FENCE.findall(text(english)) == FENCE.findall(text(korean))


@IN_BOTH
def test_both_languages_name_the_same_things(english, korean):
    named = [set(SPAN.findall(prose(page))) for page in (english, korean)]

    assert named[0] == named[1]


@IN_BOTH
def test_both_languages_have_the_same_rows(english, korean):
    firsts = [
        [[row[0] if WHOLLY_CODE.fullmatch(row[0]) else "" for row in table] for table in found]
        for found in (tables(english), tables(korean))
    ]

    assert firsts[0] == firsts[1]


@IN_BOTH
def test_both_languages_lead_to_the_same_documents(english, korean):
    names = [
        [Path(target.partition("#")[0]).name.replace(".ko", "") for target in links(page)]
        for page in (english, korean)
    ]

    assert Counter(names[0]) == Counter(names[1])


SOURCE = "\n".join(text(module) for module in APP.rglob("*.py"))
TRAVELS = text(DOCS / "how-a-request-travels.md")


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:app|tests|migrations)[\w/.]*)`", TRAVELS)))
)
def test_a_path_on_the_way_of_a_request_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("module", sorted(set(re.findall(r"as (\w+/\w+)$", TRAVELS, re.MULTILINE))))
def test_a_module_in_a_diagram_exists(module):
    assert (APP / f"{module}.py").exists()


@pytest.mark.parametrize("room", sorted(set(re.findall(r'(\w+)\["', TRAVELS))))
def test_a_room_in_a_diagram_exists(room):
    assert (APP / room).is_dir() or (APP / f"{room}.py").exists()


@pytest.mark.parametrize(
    ("kind", "method"), sorted(set(re.findall(r"`([A-Z][a-z]\w+)(?:\.(\w+))?`", TRAVELS)))
)
def test_a_class_on_the_way_of_a_request_exists(kind, method):
    assert re.search(rf"^class {kind}\b", SOURCE, re.MULTILINE)
    assert not method or re.search(rf"def {method}\(", SOURCE)
