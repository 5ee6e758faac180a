"""The check finds nothing wrong with our own server, and whatever is wrong with another."""

import json
from collections import Counter
from dataclasses import replace

import httpx
import pytest

from app.conformance.checking import PATIENCE, CannotBegin
from app.conformance.documents import EDITIONS, read_forms, read_routes, read_samples
from app.conformance.http import Credentials, Request, Server
from app.conformance.plan import plan
from app.conformance.report import Table, Veil, document
from tests.contract.checked import ADDRESSES, Wire, checked, not_as_documented, results

HTML = {"Content-Type": "text/html"}
FEW = plan("v1.0", ADDRESSES, quick=True)


def only(planned, *operations):
    """A plan with the cases of these operations alone."""
    return replace(planned, cases=tuple(c for c in planned.cases if c.operation in operations))


LISTS = only(FEW, "GET /groups", "GET /groups/{groupId}/faces")


# --- Our own server


@pytest.mark.parametrize("revision", EDITIONS)
def test_our_own_server_answers_everything_as_documented(revision):
    with checked(revision) as (session, house):
        found = results(session)

        assert not_as_documented(found) == []
        assert len(found) == len(session.plan.cases)
        assert session.left == []
        assert house.database.groups == {}


@pytest.mark.parametrize("revision", EDITIONS)
def test_every_documented_error_is_provoked_or_told_why_not(revision):
    planned = plan(revision, ADDRESSES)
    asked = {(c.operation, c.expected.code, c.expected.message) for c in planned.cases}
    left = {(n.operation, n.code, n.message) for n in planned.not_provoked}
    documented = {
        (f"{r.method} {r.path}{' (form)' if r.parts else ''}", e.code, e.message)
        for r in (*read_routes(revision), *read_forms(revision))
        for e in r.errors
    }

    assert documented <= asked | left
    assert left <= documented
    assert not asked & left


@pytest.mark.parametrize("revision", EDITIONS)
def test_every_operation_and_sample_is_asked_also_in_a_quick_check(revision):
    planned = plan(revision, ADDRESSES, quick=True)

    asked = Counter(c.sample.partition(" ")[0] for c in planned.cases)

    routes = [*read_routes(revision), *read_forms(revision)]
    assert asked["documented"] == len(routes)
    assert asked["sample"] + asked["sample,"] == len(read_samples(revision))
    assert {n.reason for n in planned.not_provoked} == {"left out by --quick"}
    assert len(planned.not_provoked) == sum(len(r.errors) for r in routes)


def test_without_addresses_their_errors_are_told_as_not_provoked():
    reasons = {
        n.message: n.reason for n in plan("v1.0", replace(ADDRESSES, slow=None)).not_provoked
    }

    assert reasons["ImageTimeoutError"].startswith("needs --slow-url")
    assert "InvalidImageURLException" not in reasons


# --- Servers that are not as documented


def rewritten(change):
    """A fault that changes what every answer holds."""

    def distort(request, response):
        body = json.loads(response.content)
        change(request, body)
        return httpx.Response(response.status_code, headers=response.headers, json=body)

    return distort


def everywhere(value, change):
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            everywhere(inner, change)
    if isinstance(value, dict):
        change(value)


def without(name):
    return rewritten(lambda _, body: everywhere(body, lambda d: d.pop(name, None)))


def with_value(name, value):
    def put(place):
        if name in place:
            place[name] = value

    return rewritten(lambda _, body: everywhere(body, put))


def with_more(name):
    return rewritten(lambda _, body: everywhere(body, lambda d: d.setdefault(name, 1)))


def coded(wrong, right):
    def change(_, body):
        if body["header"]["resultCode"] == right:
            body["header"]["resultCode"] = wrong

    return rewritten(change)


@pytest.mark.parametrize(
    ("distort", "field", "verdict"),
    [
        (without("nextToken"), "data.nextToken", "missing"),
        (without("imageId"), "data.faces[].imageId", "missing"),
        (without("data"), "data", "missing"),
        (without("resultMessage"), "header.resultMessage", "missing"),
        (without("header"), "header", "missing"),
        (with_value("groupCount", "2"), "data.groupCount", "differs"),
        (with_value("x0", None), "data.faces[].bbox.x0", "differs"),
        (with_value("faces", []), "data.faces[].faceId", "missing"),
        (with_value("confidence", 101), "data.faces[].confidence", "differs"),
        (with_value("isSuccessful", "true"), "header.isSuccessful", "differs"),
        (coded(1, 0), "header.resultCode", "differs"),
        (with_more("internal"), "data.internal", "unexpected"),
        (with_more("internal"), "header.internal", "unexpected"),
        (with_more("internal"), "internal", "unexpected"),
        (lambda _, r: httpx.Response(500, headers=HTML, text="Oops"), "HTTP status", "differs"),
        (lambda _, r: httpx.Response(200, headers=HTML, text="<html>"), "body", "differs"),
        (lambda _, r: httpx.Response(200, json=[]), "body", "differs"),
        (
            lambda _, r: httpx.Response(200, headers=HTML, content=r.content),
            "Content-Type",
            "differs",
        ),
    ],
)
def test_whatever_is_wrong_with_an_answer_is_found(distort, field, verdict):
    with checked("v1.0", distort, planned=LISTS) as (session, _):
        found = results(session)

    assert (field, verdict) in {(row.field, row.verdict) for *_, row in not_as_documented(found)}
    assert any(result.differs for result in found)


def test_an_error_with_another_code_is_found_where_it_is_provoked():
    planned = only(plan("v1.0", ADDRESSES), "DELETE /groups/{groupId}")
    with checked("v1.0", coded(-40000, -40030), planned=planned) as (session, _):
        wrong = not_as_documented(results(session))

    assert [(sample, row.field, row.documented, row.found) for _, sample, row in wrong] == [
        ("group that is not there", "header.resultCode", "-40030", "-40000")
    ]


def test_a_server_that_accepts_what_it_should_refuse_is_found():
    planned = only(plan("v1.0", ADDRESSES), "GET /groups")

    def success(request, response):
        if "limit=201" in str(request.url):
            header = {"isSuccessful": True, "resultCode": 0, "resultMessage": "Success"}
            return httpx.Response(200, json={"header": header})
        return response

    with checked("v1.0", success, planned=planned) as (session, _):
        wrong = not_as_documented(results(session))

    assert {sample for _, sample, _ in wrong} == {"limit 201"}


def raising(error, after=0):
    """A fault that breaks the connection from the request number `after` on."""
    asked = []

    def distort(request, response):
        asked.append(request)
        if len(asked) > after:
            raise error
        return response

    return distort


def test_a_server_that_hangs_is_given_up_and_told():
    hanging = raising(httpx.ReadTimeout("secret"), after=6)
    with checked("v1.0", hanging, planned=FEW) as (session, _):
        found = results(session)

    assert len(found) < len(session.plan.cases)
    assert [r.rows[0].found for r in found[-PATIENCE:]] == ["no answer within 5 s"] * PATIENCE
    assert session.left


def test_a_single_answer_that_breaks_off_is_told_and_the_rest_goes_on():
    broken: list[httpx.Request] = []

    def once(request, response):
        if request.method == "GET" and not broken:
            broken.append(request)
            raise httpx.RemoteProtocolError("secret")
        return response

    with checked("v1.0", once, planned=LISTS) as (session, _):
        found = results(session)

    assert len(found) == len(LISTS.cases)
    assert [row.found for *_, row in not_as_documented(found)] == ["the connection broke off"]


def test_nobody_there_is_one_line_and_leaves_nothing():
    refusing = raising(httpx.ConnectError("secret"))
    told = pytest.raises(CannotBegin, match=r"^http://facereco.test cannot be reached$")
    with checked("v1.0", refusing) as (session, _), told:
        results(session)

    assert session.left == []


@pytest.mark.parametrize("revision", ["v1.0", "v2.0"])
def test_keys_that_are_refused_are_one_line(revision):
    with checked(revision) as (session, _):
        [target] = session.targets
        stranger = replace(target, credentials=Credentials("canary-key", "canary-secret"))

        with pytest.raises(CannotBegin, match=r"refuses these keys: -4100\d$"):
            results(replace(session, targets=(stranger,)))


# --- What it leaves behind


def ids(house):
    return sorted(group.id for group in house.database.groups.values())


def test_groups_of_others_stay_as_they_are():
    with checked("v1.0", planned=FEW) as (session, house):
        [target] = session.targets
        server = Server(
            target.url,
            session.plan.prefix,
            target.credentials,
            timeout=5,
            transport=target.transport,
        )
        for group in ("my-group", "staff"):
            server.ask(Request("POST", "/groups", body={"groupId": group}))

        wrong = not_as_documented(results(session))

        assert wrong == []
        assert ids(house) == ["my-group", "staff"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_its_groups_are_removed_also_when_it_is_interrupted(error):
    def interrupted(session, house):
        with session.results() as found:
            next(found)
            assert len(ids(house)) > 1
            raise error

    with checked("v1.0", planned=FEW) as (session, house):
        with pytest.raises(error):
            interrupted(session, house)

        assert ids(house) == []
        assert session.left == []


def test_groups_are_named_when_their_removal_is_interrupted():
    def impatient(request, response):
        if request.method == "DELETE":
            raise KeyboardInterrupt
        return response

    told = pytest.raises(KeyboardInterrupt)
    with checked("v1.0", impatient, planned=LISTS) as (session, _), told:
        results(session)

    assert len(session.left) == 2


def test_groups_that_would_not_go_are_named():
    def keep(request, response):
        if request.method == "DELETE":
            return httpx.Response(500, text="Oops")
        return response

    with checked("v1.0", keep, planned=LISTS) as (session, _):
        results(session)

        assert len(session.left) == 2


# --- A second server


def shadowed(first, second):
    """The first session with the second one's server as its shadow."""
    return replace(first, targets=(*first.targets, *second.targets))


def test_two_servers_that_answer_alike_are_told_so_and_both_are_cleared():
    with checked("v1.0", planned=FEW) as (one, here), checked("v1.0") as (other, there):
        found = results(shadowed(one, other))

        assert [told for result in found for told in result.shadow] == []
        assert (ids(here), ids(there)) == ([], [])


def test_where_a_second_server_differs_is_told_field_by_field():
    tokenless = checked("v1.0", without("nextToken"))
    with checked("v1.0", planned=LISTS) as (one, _), tokenless as (other, _):
        found = results(shadowed(one, other))

    assert not_as_documented(found) == []
    assert {(t.field, t.first, t.second) for r in found for t in r.shadow} == {
        ("data.nextToken", "string", "absent")
    }
    assert all(result.differs for result in found)


# --- What is told of it


def test_a_key_that_a_server_sends_back_is_never_shown():
    with checked("v2.0", planned=plan("v2.0", ADDRESSES, quick=True)) as (session, _):
        [target] = session.targets
        keys = (target.credentials.app_key, str(target.credentials.secret_key))

        def talkative(_, body):
            body["header"]["resultMessage"] = keys[0]
            body["header"][f"secret {keys[1]}"] = keys[1]
            body[keys[0]] = f"/{keys[0]}/"

        assert isinstance(target.transport, Wire)
        target.transport.distort = rewritten(talkative)
        found = results(session)
        shown = "".join(row.field + row.found for result in found for row in result.rows)
        veil = Veil(keys)
        table = Table(session.plan, veil, brief=False)
        told = json.dumps(document(session.plan, found, veil)) + "".join(
            line for result in found for line in table.lines(result)
        )

        assert all(key in shown for key in keys)
        assert not any(key in told for key in keys)
        assert not any(key in repr(session) for key in keys)
        assert "{hidden}" in told
