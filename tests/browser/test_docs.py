"""The documents' viewer in a browser: everything is shown and nothing fetched elsewhere."""

import pytest
from playwright.sync_api import expect

from app.api.openapi.document import SURFACES
from tests.browser.conftest import PATIENCE
from tests.contract.openapi import operations

DETAILS = ".operation"


@pytest.fixture
def shown(witness):
    page = witness.open("/docs")
    page.wait_for_selector(DETAILS)
    return page


def select(page, edition):
    page.select_option("#edition", edition)
    expect(page).to_have_title(f"facereco, {SURFACES[edition].title}", timeout=PATIENCE)


def text_of_opened(page):
    """An operation is filled when it is opened, a moment later."""
    opened = page.locator(f"{DETAILS}[open]")
    opened.locator("h3", has_text="Refusals").wait_for()
    return opened.inner_text()


@pytest.mark.parametrize("edition", SURFACES)
def test_every_operation_of_every_edition_is_shown(edition, shown):
    select(shown, edition)

    # By their elements: how one line of text is parted depends on when the style sheet arrives.
    methods = shown.locator(f"{DETAILS} > summary > .method").all_text_contents()
    paths = shown.locator(f"{DETAILS} > summary > code").all_text_contents()

    told = set(zip(methods, paths, strict=True))
    assert told == {(method, path) for method, path, _ in operations(edition)}
    assert len(methods) == len(told)


@pytest.mark.parametrize("edition", SURFACES)
def test_whatever_is_opened_nothing_is_fetched_elsewhere_and_nothing_complains(edition, witness):
    page = witness.open(f"/docs#{edition}")
    page.wait_for_selector(DETAILS)

    page.locator(DETAILS).evaluate_all("every => every.forEach((one) => { one.open = true; })")

    refusals = page.locator(f"{DETAILS} h3:text-is('Refusals')")
    expect(refusals).to_have_count(page.locator(DETAILS).count(), timeout=PATIENCE)
    assert witness.elsewhere == set()
    assert witness.complaints == []


def test_an_operation_shows_parameters_both_body_forms_answers_codes_and_examples(shown):
    select(shown, "v2.0")
    shown.locator("summary", has_text="/faces/compare").click()

    opened = text_of_opened(shown)

    for text in (
        "appKey",
        "Body as application/json",
        "sourceImage.bytes",
        "Body as multipart/form-data",
        "targetImageFile",
        "one of targetImageFile, targetImage, targetImageUrl",
        "1 to 100; default 90",
        "data.matchedFaceDetails[].faceDetail.bbox.x0",
        "-45080",
        "InvalidImageFileException",
        "UnauthorizedAppKeyOrSecretKey",
        '"resultMessage": "Success"',
    ):
        assert text in opened, text


def test_what_is_looked_for_is_found(shown):
    shown.fill("#find", "verify")

    visible = [one for one in shown.locator(DETAILS).all() if one.is_visible()]

    assert len(visible) == 1
    assert "/verify/groups/" in visible[0].inner_text()


def test_an_address_leads_to_one_operation(witness):
    page = witness.open("/docs#2021/searchByImage")

    assert "/groups/{groupId}/search" in text_of_opened(page)
    assert page.input_value("#edition") == "2021"


def test_the_document_itself_can_be_taken_away(shown):
    with shown.expect_download() as waiting:
        shown.click("#raw")

    assert waiting.value.suggested_filename.endswith(".json")


def test_a_server_that_serves_no_documents_is_told(witness):
    witness.page.route("**/openapi", lambda route: route.abort())
    page = witness.open("/docs")

    page.get_by_role("alert").wait_for()
    assert "cannot be shown" in page.inner_text("main")


def test_the_page_fits_a_narrow_screen(witness):
    witness.page.set_viewport_size({"width": 360, "height": 640})
    page = witness.open("/docs#v1.0/register")
    text_of_opened(page)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
