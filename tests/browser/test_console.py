"""The console in a browser, on real pictures, before a real server with the starter pack.

Screenshots land in the folder SCREENSHOTS names, else beside what pytest keeps of the run.
"""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE, Witness
from tests.integration.server.processes import ROOT, Client, command, image, running

MOST_BYTES = 100_000
ASTRONAUT = ROOT / "tests" / "pictures" / "astronaut.jpg"
PAGES = ("detect", "compare", "groups", "groups/staff", "accuracy", "system")
# What is there once a page has read what it shows.
FILLED = {
    "detect": ".drop",
    "compare": ".drop",
    "groups": "tbody tr, #no-groups",
    "accuracy": ".chart",
    "system": ".facts",
}
IN_A_GROUP = "#face-count"
MARKUP = "<img src=x onerror=alert(1)>\"; rm -rf $HOME; `id` '.jpg"
# What a drop or a paste carries, made where it is dropped.
CARRIED = """([kind, selector, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/jpeg" }));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector(selector).dispatchEvent(event);
}"""

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def crowd():
    """Six people around a table: a picture insightface brings."""
    spec = find_spec("insightface")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / "images" / "t1.jpg"


@pytest.fixture(scope="module")
def server(browser, tmp_path_factory):  # without a browser no server is started
    with running(tmp_path_factory.mktemp("console") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory):
    named = os.environ.get("SCREENSHOTS")  # noqa: TID251 - of the test, no setting of the server
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Console:
    """The console in one browser window, as somebody uses it."""

    def __init__(self, witness: Witness, server, screenshots: Path) -> None:
        self.witness = witness
        self.page: Page = witness.page
        self.server = server
        self._screenshots = screenshots

    def sign_in(self, secret: str | None = None) -> Page:
        page = self.witness.open("/console")
        page.fill("#app-key", self.server.app_key)
        page.fill("#secret-key", secret or self.server.secret_key)
        page.press("#secret-key", "Enter")
        return page

    def open(self, name: str) -> Page:
        """A page of the console, whatever was open before."""
        if self.page.locator("#main").count() == 0:
            self.sign_in()
            expect(self.page.locator("#main")).to_be_visible()
        self.page.evaluate("(hash) => { location.hash = hash; }", f"#/{name}")
        current = self.page.locator("nav [aria-current]")
        expect(current).to_have_attribute("href", f"#/{name.partition('/')[0]}")
        expect(self.page.locator(FILLED.get(name, IN_A_GROUP)).first).to_be_attached()
        return self.page

    def give(self, *pictures: Path, to: int = 0) -> None:
        self.page.locator("input[type=file]").nth(to).set_input_files(list(pictures))

    def keep(self, name: str) -> None:
        """A screenshot."""
        self.page.screenshot(path=self._screenshots / f"{name}.png", full_page=True)


@contextmanager
def opened(browser, server, screenshots, **how) -> Iterator[Console]:
    context = browser.new_context(**how)
    witness = Witness(context.new_page(), server.base)
    witness.page.on("dialog", lambda _: witness.complaints.append("a script said something"))
    yield Console(witness, server, screenshots)
    context.close()
    assert witness.elsewhere == set()
    assert witness.complaints == []


@pytest.fixture
def console(browser, server, screenshots):
    with opened(browser, server, screenshots) as console:
        yield console


@pytest.fixture(scope="module")
def staff(server, crowd):
    """A group with the astronaut and the six around the table, which tests leave as it is."""
    furnish(server, "staff", crowd)


def furnish(server, group, crowd):
    """A group with those seven faces, made without the console."""
    client = Client(server.base, server.app_key)
    client.ask("POST", "/groups", {"groupId": group})
    for picture, limit in ((ASTRONAUT, 1), (crowd, 6)):
        body = {"image": image(picture), "limit": limit, "externalImageId": picture.name}
        client.ask("POST", f"/groups/{group}", body)
    client.close()


def carried(page, kind, selector, name, picture):
    content = base64.b64encode(picture.read_bytes()).decode()
    page.evaluate(CARRIED, [kind, selector, name, content])


def test_the_first_page_is_small(console):
    sizes = {}
    console.page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))

    console.witness.open("/console")
    console.page.wait_for_load_state("networkidle")

    assert len(sizes) > 5
    assert sum(sizes.values()) <= MOST_BYTES


def test_a_wrong_secret_key_is_told_and_opens_nothing(console):
    page = console.sign_in("wrong")

    expect(page.get_by_role("alert")).to_contain_text("-41005")
    assert page.locator("#main").count() == 0


def test_the_keys_are_kept_nowhere_and_gone_after_signing_out_and_reloading(console):
    page = console.open("system")
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    shown = page.content()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#app-key")).to_have_value("")
    console.open("groups")
    page.reload()

    expect(page.locator("#app-key")).to_have_value("")
    for secret in (console.server.secret_key, console.server.app_key):
        assert secret not in kept
        assert secret not in shown


def test_all_faces_of_a_picture_are_drawn_and_told(console, crowd):
    page = console.open("detect")

    console.give(crowd)

    expect(page.locator("#count")).to_have_text("Faces found: 6")
    for drawn, count in ((".face .box", 6), (".face circle", 30), (".face .axis", 18)):
        expect(page.locator(drawn)).to_have_count(count)
    expect(page.locator("tbody tr")).to_have_count(6)
    expect(page.locator("tbody")).to_contain_text("yaw")
    answer = json.loads(page.locator("pre").nth(1).inner_text())
    assert answer["data"]["faceDetailCount"] == 6
    page.click("#face-0")
    expect(page.locator(".face").first).to_have_class(re.compile("chosen"))
    console.keep("detect")


def test_what_is_drawn_and_asked_for_can_be_chosen(console):
    page = console.open("detect")
    console.give(ASTRONAUT)
    expect(page.locator(".face .axis")).to_have_count(3)

    page.get_by_role("group", name="Draw").get_by_label("points").uncheck()
    expect(page.locator(".face circle")).to_have_count(0)
    page.get_by_role("group", name="Ask for").get_by_label("angles").uncheck()

    expect(page.locator(".face .axis")).to_have_count(0)
    expect(page.locator("pre").first).to_contain_text("orientation=false")


def test_spoofing_is_told_where_it_is_asked_for(console):
    page = console.open("detect")
    console.give(ASTRONAUT)
    expect(page.locator("#count")).to_have_text("Faces found: 1")

    page.check("#spoofing")

    expect(page.locator("pre").first).to_contain_text("spoofing=true")
    expect(page.locator(".tag").first).to_contain_text(re.compile("live|spoof"))


def test_a_request_is_copied_as_curl_without_the_keys_and_works_in_a_shell(console, tmp_path):
    page = console.open("detect")
    # As a program would be read if a name were not quoted.
    picture = shutil.copy(ASTRONAUT, tmp_path / 'it\'s "one"; $(touch gone).jpg')
    console.give(picture)
    expect(page.locator("#count")).to_have_text("Faces found: 1")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()

    text = page.locator("pre").first.inner_text()
    for secret in (console.server.secret_key, console.server.app_key):
        assert secret not in text
    if shutil.which("curl") is None:
        return
    keys = {"APP_KEY": console.server.app_key, "SECRET_KEY": console.server.secret_key}
    done = subprocess.run(
        ["/bin/bash", "-c", text],
        cwd=tmp_path,
        env={**keys, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["data"]["faceDetailCount"] == 1
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(("kind", "where"), [("drop", ".drop"), ("paste", "body")])
def test_pictures_may_be_dropped_and_pasted(console, kind, where):
    page = console.open("detect")

    carried(page, kind, where, "astronaut.jpg", ASTRONAUT)

    expect(page.locator("#count")).to_have_text("Faces found: 1")


def test_an_address_that_may_not_be_fetched_is_told_in_words(console):
    page = console.open("detect")

    page.fill("input[type=url]", "http://127.0.0.1/photo.jpg")
    page.get_by_role("button", name="Use").click()

    expect(page.get_by_role("alert")).to_contain_text("-45050")
    expect(page.locator(".frame")).to_contain_text("loads nothing from other hosts")


def test_names_with_markup_are_text_wherever_they_are_shown(console, server, crowd):
    furnish(server, "marked", crowd)
    page = console.open("detect")
    carried(page, "drop", ".drop", MARKUP, ASTRONAUT)
    expect(page.locator("#count")).to_have_text("Faces found: 1")
    assert MARKUP in page.locator(".name").inner_text()

    console.open("groups/marked")
    page.click("#tab-register")
    carried(page, "drop", ".drop", MARKUP, ASTRONAUT)
    expect(page.locator("#progress")).to_contain_text("1 of 1")
    assert page.locator("td .name").inner_text() == MARKUP
    page.click("#tab-faces")
    page.fill("#filter", MARKUP)
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("alert")).to_contain_text("-40000")
    console.open("groups")
    page.fill("#group-id", MARKUP)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("-40010")

    assert page.locator("img").count() == 0
    page.evaluate("(hash) => { location.hash = hash; }", f"#/groups/{MARKUP}")
    expect(page.locator("h1")).to_have_text("Groups")
    assert page.locator("img").count() == 0


def test_a_slider_sorts_matches_anew_without_asking_again(console, crowd):
    page = console.open("compare")
    console.give(crowd, to=0)
    console.give(crowd, to=1)
    expect(page.locator("#matched li")).to_have_count(1)
    expect(page.locator("#unmatched li")).to_have_count(5)
    expect(page.locator(".lines .good")).to_have_count(1)
    console.keep("compare")
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    page.fill("#threshold", "1")

    expect(page.locator("#matched li")).to_have_count(6)
    expect(page.locator("#unmatched li")).to_have_count(0)
    expect(page.locator(".lines .good")).to_have_count(6)
    expect(page.locator(".target .face.good")).to_have_count(6)
    shown = [float(text) for text in page.locator("#matched li span").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    assert asked == []


def test_a_source_without_a_face_is_told(console, tmp_path):
    empty = tmp_path / "wall.png"
    Image.new("RGB", (200, 200), (90, 90, 90)).save(empty)
    page = console.open("compare")

    console.give(empty, to=0)
    console.give(ASTRONAUT, to=1)

    expect(page.get_by_role("alert")).to_contain_text("-40000")


def test_a_group_is_made_and_many_pictures_are_registered_with_a_result_each(
    console, crowd, tmp_path
):
    page = console.open("groups")
    page.fill("#group-id", "visitors")
    page.press("#group-id", "Enter")
    page.get_by_role("link", name="visitors").click()
    expect(page.locator("#face-count")).to_have_text("0")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no picture")

    page.click("#tab-register")
    console.give(ASTRONAUT, crowd, broken)

    expect(page.locator("#progress")).to_have_text("3 of 3 · 2 registered, 1 not")
    results = page.locator("tbody tr")
    expect(results.nth(0)).to_contain_text("registered: 1")
    expect(results.nth(2)).to_contain_text("-450")
    expect(page.locator("#face-count")).to_have_text("2")
    console.keep("register")


def test_the_faces_of_a_group_are_listed_filtered_and_deleted(console, server, crowd):
    furnish(server, "listed", crowd)
    page = console.open("groups/listed")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(7)

    page.fill("#filter", "t1.jpg")
    page.press("#filter", "Enter")
    expect(rows).to_have_count(6)
    rows.first.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(rows).to_have_count(6)
    rows.first.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(rows).to_have_count(5)
    expect(page.locator("#face-count")).to_have_text("6")


def test_a_group_is_searched_by_picture_and_by_face(console, staff):
    page = console.open("groups/staff")
    page.click("#tab-search")

    console.give(ASTRONAUT)
    expect(page.locator("#matches")).to_have_text("Faces found in this group: 1")
    expect(page.locator("tbody tr").first).to_contain_text("astronaut.jpg")
    expect(page.locator(".face .box")).to_have_count(1)
    console.keep("search")
    page.fill("#search-limit", "1")
    page.fill("#search-threshold", "1")
    page.press("#search-threshold", "Tab")
    expect(page.locator("pre").first).to_contain_text("threshold=1")
    page.get_by_role("button", name="Find alike").click()

    # The first: "Working…" stands below it until the answer is there.
    expect(page.locator(".notice").first).to_contain_text("astronaut.jpg")
    expect(page.locator("#matches")).to_have_text("Faces found in this group: 1")
    expect(page.locator("tbody tr").first).to_contain_text("t1.jpg")


def test_a_group_is_deleted_once_its_id_was_typed(console):
    page = console.open("groups")
    page.fill("#group-id", "short-lived")
    page.press("#group-id", "Enter")
    page.get_by_role("link", name="short-lived").click()
    page.get_by_role("button", name="Delete this group").click()
    dialog = page.get_by_role("dialog")
    delete = dialog.get_by_role("button", name="Delete")

    dialog.get_by_role("textbox").fill("short")
    expect(delete).to_be_disabled()
    dialog.get_by_role("textbox").fill("short-lived")
    delete.click()

    expect(page.locator("h1")).to_have_text("Groups")
    expect(page.locator("#group-id")).to_be_visible()
    expect(page.get_by_role("link", name="short-lived")).to_have_count(0)


def test_lists_are_turned_page_by_page(console, server):
    client = Client(server.base, server.app_key)
    for number in range(26):
        client.ask("POST", "/groups", {"groupId": f"many-{number:02}"})
    client.close()
    page = console.open("groups")
    expect(page.locator("tbody tr")).to_have_count(25)

    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("link", name="many-25")).to_be_visible()
    page.get_by_role("button", name="Back").click()

    expect(page.get_by_role("link", name="many-00")).to_be_visible()


def test_the_calibration_tells_what_a_threshold_costs(console):
    page = console.open("accuracy")
    expect(page.locator(".chart .curve")).to_have_count(3)
    page.fill("#at", "80")
    at_80 = page.locator("#false-matches").inner_text()

    page.fill("#at", "50")

    expect(page.locator("#false-matches")).not_to_have_text(at_80)
    expect(page.locator("#false-matches")).to_contain_text("1 in")
    expect(page.locator("#false-rejections")).to_contain_text("%")
    console.keep("accuracy")


def test_the_system_tells_packs_terms_key_versions_and_health(console):
    page = console.open("system")

    content = page.locator("main")
    for text in (
        "starter",
        "Apache-2.0",
        "not allowed",
        "v1.0",
        "onnxruntime",
        "database",
        "keyset",
    ):
        expect(content).to_contain_text(text)
    console.keep("system")


def test_everything_can_be_done_with_the_keyboard_alone(console):
    page = console.witness.open("/console")
    keys = page.keyboard
    press(keys, console.server.app_key, "Tab", console.server.secret_key, "Enter")
    expect(page.locator("h1")).to_be_focused()

    reach(page.get_by_role("link", name="Groups"))
    press(keys, "Enter")
    reach(page.locator("#group-id"))
    press(keys, "aaa", "Enter")
    reach(page.get_by_role("link", name="aaa", exact=True))
    press(keys, "Enter")
    reach(page.locator("#tab-faces"))
    press(keys, "ArrowRight")
    expect(page.locator("#tab-register")).to_be_focused()
    reach(page.locator("input[type=file]"))
    reach(page.get_by_role("button", name="Delete this group"))
    press(keys, "Enter", "Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    reach(page.get_by_role("button", name="Delete this group"))
    press(keys, "Enter", "aaa", "Enter")

    expect(page.get_by_role("link", name="aaa")).to_have_count(0)


def press(keys, *strokes):
    """Type words, press keys."""
    for stroke in strokes:
        if stroke in {"Tab", "Enter", "Escape", "ArrowRight"}:
            keys.press(stroke)
        else:
            keys.type(stroke)


def reach(locator):
    """Press Tab until it is focused."""
    expect(locator).to_be_visible()
    for _ in range(60):
        if locator.evaluate("(it) => it === document.activeElement"):
            return
        locator.page.keyboard.press("Tab")
    raise AssertionError("the keyboard does not lead there")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(browser, server, screenshots, staff, crowd, scheme):
    with opened(browser, server, screenshots, color_scheme=scheme, bypass_csp=True) as console:
        console.witness.open("/console")
        found = {"sign in": serious(console.page)}
        for name in PAGES:
            page = console.open(name)
            if name in {"detect", "compare"}:
                for place in range(page.locator("input[type=file]").count()):
                    console.give(crowd, to=place)
                expect(page.locator("pre")).to_have_count(2)
            found[name] = serious(page)
            console.keep(f"{scheme}-{name.replace('/', '-')}")
        page = console.open("groups/staff")
        for tab in ("register", "search"):
            page.click(f"#tab-{tab}")
            found[tab] = serious(page)
        page.get_by_role("button", name="Delete this group").click()
        found["dialog"] = serious(page)

    assert found == {name: [] for name in found}


def serious(page):
    violations = Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"] for node in one["nodes"]][:3])
        for one in violations
        if one["impact"] in {"serious", "critical"}
    ]


def test_korean_on_a_phone_fits_and_leaves_no_word_untold(
    browser, server, screenshots, staff, crowd
):
    how = {"locale": "ko-KR", "viewport": {"width": 360, "height": 740}}
    with opened(browser, server, screenshots, **how) as console:
        for name in PAGES:
            page = console.open(name)
            if name == "detect":
                console.give(crowd)
                expect(page.locator("tbody tr")).to_have_count(6)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
            assert "undefined" not in page.locator("body").inner_text()
            console.keep(f"ko-phone-{name.replace('/', '-')}")
        assert console.page.get_attribute("html", "lang") == "ko"
        console.page.select_option("#language", "en")
        expect(console.page.locator("h1")).to_have_text("System")


def test_a_key_of_the_oldest_revision_uses_all_of_it(browser, server, screenshots):
    made = command(
        "keys",
        "create",
        "--data",
        str(server.data),
        "--name",
        "old",
        "--revision",
        "alpha",
        "--json",
    )
    old = json.loads(made.stdout)
    with opened(browser, server, screenshots) as console:
        page = console.witness.open("/console")
        page.fill("#app-key", old["appKey"])
        page.fill("#secret-key", old["secretKey"])
        page.press("#secret-key", "Enter")
        expect(page.locator("#who")).to_have_text("old")
        console.open("groups")
        expect(page.locator("#no-groups")).to_be_visible()
        page.fill("#group-id", "first")
        page.press("#group-id", "Enter")
        page.get_by_role("link", name="first").click()
        expect(page.locator("#face-count")).to_have_text("0")
