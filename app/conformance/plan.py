"""Everything a check asks of a revision, in the order of its guide."""

from dataclasses import dataclass

from app.conformance.cases import (
    Addresses,
    Case,
    NotProvoked,
    documented,
    is_spoofing,
    operation,
    variations,
)
from app.conformance.documents import Error, Route, read_forms, read_routes
from app.conformance.provocations import errors_of
from app.conformance.samples import samples_of


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a revision, and the errors that are not provoked.

    `registering` and `spoofing` are the routes that register faces and tell who is alive.
    """

    revision: str
    prefix: str
    registering: Route | None
    spoofing: Route | None
    cases: tuple[Case, ...]
    not_provoked: tuple[NotProvoked, ...]


def plan(revision: str, addresses: Addresses, *, quick: bool = False) -> Plan:
    """Every operation in both body forms, its bounds and errors, then the guide's samples.

    A `quick` one leaves out bounds and errors.
    """
    routes = read_routes(revision)
    forms = {(form.method, form.path): form for form in read_forms(revision)}
    both = [kind for r in routes for kind in (r, forms.get((r.method, r.path))) if kind is not None]
    found: list[Case | NotProvoked] = []
    for route in both:
        found += documented(route)
        if quick:
            found += [_left_out(route, error) for error in route.errors]
        else:
            found += [*variations(route, addresses), *errors_of(route, addresses)]
    found += samples_of(revision, addresses)
    return Plan(
        revision,
        routes[0].prefix,
        registering=next((r for r in routes if "data.addedFaceCount" in r.settled), None),
        spoofing=next((r for r in routes if is_spoofing(r.path)), None),
        cases=tuple(f for f in found if isinstance(f, Case)),
        not_provoked=tuple(f for f in found if isinstance(f, NotProvoked)),
    )


def _left_out(route: Route, error: Error) -> NotProvoked:
    return NotProvoked(operation(route), error.code, error.message, "left out by --quick")
