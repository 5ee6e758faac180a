import base64
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidPageToken
from app.domain.values import Cursor, Listing, PageScope
from app.storage.keysets import Keyset
from app.storage.page_tokens import SealedPageTokens
from app.storage.vault import Vault

VAULT = Vault(Keyset.generate(), "database", bytes(range(100, 132)))
SCOPE = PageScope(tenant=1, listing=Listing.FACES, group_row=7)
CURSOR = Cursor(limit=20, after="123", filters={"externalImageId": "desk-3"})


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> SealedPageTokens:
    return SealedPageTokens(VAULT, ttl=60.0, clock=clock)


def test_a_token_gives_back_where_the_list_was(tokens: SealedPageTokens):
    assert tokens.read(SCOPE, tokens.issue(SCOPE, CURSOR)) == CURSOR


@given(
    limit=st.integers(1, 10_000),
    after=st.none() | st.text(max_size=255),
    filters=st.dictionaries(st.text(max_size=20), st.text(max_size=255), max_size=3),
)
def test_any_cursor_survives(limit: int, after: str | None, filters: dict[str, str]):
    cursor = Cursor(limit, after, filters)
    tokens = SealedPageTokens(VAULT)

    assert tokens.read(SCOPE, tokens.issue(SCOPE, cursor)) == cursor


def test_a_token_is_made_for_a_query_string_and_tells_nothing(tokens: SealedPageTokens):
    token = tokens.issue(SCOPE, CURSOR)

    assert token.replace("-", "").replace("_", "").isalnum()
    assert token.isascii()
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"desk-3" not in raw
    assert b"123" not in raw
    assert token != tokens.issue(SCOPE, CURSOR)


def test_a_token_is_good_for_its_own_list_only(tokens: SealedPageTokens):
    scopes = [
        PageScope(tenant, listing, row)
        for tenant, listing, row in product((1, 2, 17), Listing, (None, 1, 7))
    ]
    for issued, read in product(scopes, scopes):
        token = tokens.issue(issued, CURSOR)
        if issued == read:
            assert tokens.read(read, token) == CURSOR
        else:
            with pytest.raises(InvalidPageToken):
                tokens.read(read, token)


def test_a_token_expires(tokens: SealedPageTokens, clock: Clock):
    token = tokens.issue(SCOPE, CURSOR)

    clock.now += 60
    assert tokens.read(SCOPE, token) == CURSOR
    clock.now += 1
    with pytest.raises(InvalidPageToken):
        tokens.read(SCOPE, token)


def test_a_clock_that_was_set_back_never_makes_a_token_live_longer_than_twice(
    tokens: SealedPageTokens, clock: Clock
):
    token = tokens.issue(SCOPE, CURSOR)

    clock.now -= 60
    assert tokens.read(SCOPE, token) == CURSOR
    clock.now -= 1
    with pytest.raises(InvalidPageToken):
        tokens.read(SCOPE, token)


def test_a_token_of_another_server_is_refused(tokens: SealedPageTokens):
    other = Vault(Keyset.generate(), "database", bytes(range(50, 82)))

    with pytest.raises(InvalidPageToken):
        tokens.read(SCOPE, SealedPageTokens(other).issue(SCOPE, CURSOR))


def test_a_token_outlives_the_master_keys(tokens: SealedPageTokens):
    token = SealedPageTokens(VAULT).issue(SCOPE, CURSOR)

    rotated = Vault(Keyset.generate(), "database", bytes(range(100, 132)))

    assert SealedPageTokens(rotated).read(SCOPE, token) == CURSOR


def test_every_change_of_one_character_is_refused(tokens: SealedPageTokens):
    token = tokens.issue(SCOPE, CURSOR)
    for place in range(len(token)):
        for character in {"A", "_", "9", "=", "+", "é"} - {token[place]}:
            with pytest.raises(InvalidPageToken):
                tokens.read(SCOPE, token[:place] + character + token[place + 1 :])


def test_every_cut_and_every_addition_is_refused(tokens: SealedPageTokens):
    token = tokens.issue(SCOPE, CURSOR)
    cuts = [token[:length] for length in range(len(token))]
    for changed in [*cuts, token + "=", token + "A", " " + token, token + "\n", token * 2]:
        with pytest.raises(InvalidPageToken):
            tokens.read(SCOPE, changed)


@given(st.text(max_size=400) | st.text("ABCabc019-_=", max_size=400))
def test_garbage_of_any_kind_is_refused(token: str):
    with pytest.raises(InvalidPageToken):
        SealedPageTokens(VAULT).read(SCOPE, token)


@given(st.binary(max_size=400))
def test_garbage_in_the_right_spelling_is_refused(raw: bytes):
    token = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    with pytest.raises(InvalidPageToken):
        SealedPageTokens(VAULT).read(SCOPE, token)


@pytest.mark.parametrize("token", ["A" * 10_000_000, "\ud800", "\0", "가" * 1_000])
def test_extreme_tokens_are_refused(tokens: SealedPageTokens, token: str):
    with pytest.raises(InvalidPageToken):
        tokens.read(SCOPE, token)
