import hmac
import threading

import numpy as np
import pytest

from app.domain.errors import RecordCorrupt
from app.domain.values import Embedding
from app.storage.keysets import Keyset
from app.storage.vault import GroupCipher, Place, Sealed, Vault

PLACE = Place(tenant=1, group_row=7, model="test/1")
KEY = bytes.fromhex("9d1f0b6c53e8a7420f91d3c85ab6e17702cd48f9361ea5bb7418d06f2c93e45a")
SECRET = KEY[::-1]


@pytest.fixture
def vault() -> Vault:
    return Vault(Keyset.generate(), "database", SECRET)


def vector(size: int = 256) -> Embedding:
    values = np.random.default_rng(1).standard_normal(size).astype(np.float32)
    return values / np.linalg.norm(values)


def test_a_record_is_a_header_a_nonce_and_the_sealed_values(vault: Vault):
    record = GroupCipher(KEY, PLACE, "database").seal("face", vector(256))

    assert record[0] == 1
    assert len(record) == 1 + 12 + 256 * 4 + 16


def test_a_vector_comes_back_bit_for_bit():
    cipher = GroupCipher(KEY, PLACE, "database")
    # Not a normal one: sign of zero, the smallest number and the largest are kept too.
    odd = np.array([-0.0, 1e-45, 3.4028235e38, 0.5], dtype=np.float32)

    opened = cipher.open("face", cipher.seal("face", odd))

    assert opened.tobytes() == odd.tobytes()


def test_every_other_layout_of_the_same_values_is_sealed_alike():
    cipher = GroupCipher(KEY, PLACE, "database")
    spread = np.repeat(vector(8), 2)[::2]

    opened = cipher.open("face", cipher.seal("face", spread))

    np.testing.assert_array_equal(opened, spread)


@pytest.mark.parametrize(
    "other",
    [
        GroupCipher(KEY, Place(2, 7, "test/1"), "database"),
        GroupCipher(KEY, Place(1, 8, "test/1"), "database"),
        GroupCipher(KEY, Place(1, 7, "test/2"), "database"),
        GroupCipher(KEY, PLACE, "another database"),
        GroupCipher(SECRET, PLACE, "database"),
        # The parts are bound with their lengths: 1|71 is not 17|1.
        GroupCipher(KEY, Place(17, 1, "test/1"), "database"),
        GroupCipher(KEY, Place(1, 7, "test/"), "database"),
    ],
)
def test_a_record_opens_nowhere_else(other: GroupCipher):
    record = GroupCipher(KEY, PLACE, "database").seal("1face", vector())

    with pytest.raises(RecordCorrupt):
        other.open("1face", record)


def test_a_record_opens_for_no_other_face():
    cipher = GroupCipher(KEY, PLACE, "database")

    with pytest.raises(RecordCorrupt):
        cipher.open("bob", cipher.seal("alice", vector()))


def test_every_changed_bit_is_noticed():
    cipher = GroupCipher(KEY, PLACE, "database")
    record = cipher.seal("face", vector(4))

    for bit in range(len(record) * 8):
        changed = bytearray(record)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RecordCorrupt):
            cipher.open("face", bytes(changed))


def test_every_length_but_the_right_one_is_refused():
    cipher = GroupCipher(KEY, PLACE, "database")
    record = cipher.seal("face", vector(4))

    for length in range(len(record)):
        with pytest.raises(RecordCorrupt):
            cipher.open("face", record[:length])


def test_a_record_of_another_dimension_does_not_fit_the_row():
    cipher = GroupCipher(KEY, PLACE, "database")

    with pytest.raises(RecordCorrupt):
        cipher.open_into("face", cipher.seal("face", vector(8)), np.empty(16, dtype=np.uint8))


def test_a_group_key_opens_only_for_its_tenant_and_row(vault: Vault):
    wrapped = vault.new_group_key(PLACE)

    for place in (Place(2, 7, "test/1"), Place(1, 8, "test/1")):
        with pytest.raises(RecordCorrupt):
            vault.cipher(place, wrapped)
    record = vault.cipher(PLACE, wrapped).seal("face", vector())
    np.testing.assert_array_equal(vault.cipher(PLACE, wrapped).open("face", record), vector())


def test_a_key_the_keyset_lacks_is_named_as_such(vault: Vault):
    wrapped = Sealed("gone", vault.new_group_key(PLACE).record)

    with pytest.raises(RecordCorrupt, match="keyset"):
        vault.cipher(PLACE, wrapped)


def test_a_group_key_under_the_name_of_another_master_key_does_not_open():
    first, second = Keyset.generate(), Keyset.generate()
    vault = Vault(Keyset(first.primary, {**first.keys, **second.keys}), "database", SECRET)

    with pytest.raises(RecordCorrupt):
        vault.cipher(PLACE, Sealed(second.primary, vault.new_group_key(PLACE).record))


def test_what_was_forgotten_must_be_unwrapped_again(vault: Vault):
    wrapped = vault.new_group_key(PLACE)
    cipher = vault.cipher(PLACE, wrapped)
    assert vault.cipher(PLACE, wrapped) is cipher

    vault.forget(PLACE.group_row)

    with pytest.raises(RecordCorrupt):
        vault.cipher(PLACE, Sealed(wrapped.key_id, b""))


def test_only_so_many_group_keys_stay_in_memory():
    vault = Vault(Keyset.generate(), "database", SECRET, cached_groups=2)
    places = [Place(1, row, "test/1") for row in range(3)]
    wrapped = [vault.new_group_key(place) for place in places]
    first, second = (vault.cipher(places[n], wrapped[n]) for n in (0, 1))

    vault.cipher(places[0], wrapped[0])
    vault.cipher(places[2], wrapped[2])

    assert vault.cipher(places[0], wrapped[0]) is first
    assert vault.cipher(places[1], wrapped[1]) is not second


def test_many_threads_may_use_the_vault_at_once():
    vault = Vault(Keyset.generate(), "database", SECRET, cached_groups=3)
    places = [Place(1, row, "test/1") for row in range(8)]
    wrapped = [vault.new_group_key(place) for place in places]
    records = [
        vault.cipher(place, key).seal("face", vector())
        for place, key in zip(places, wrapped, strict=True)
    ]
    failures: list[Exception] = []

    def use() -> None:
        try:
            for turn in range(400):
                n = turn * 5 % 8
                vault.cipher(places[n], wrapped[n]).open("face", records[n])
                vault.forget(turn % 8)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_derived_keys_depend_on_the_secret_and_the_purpose_alone():
    first = Vault(Keyset.generate(), "database", SECRET)
    second = Vault(Keyset.generate(), "database", SECRET)
    other = Vault(Keyset.generate(), "database", KEY)

    assert first.derive("a") == second.derive("a")
    assert len({first.derive("a"), first.derive("b"), other.derive("a")}) == 3


def test_keys_are_derived_as_rfc_5869_says(vault: Vault):
    extracted = hmac.digest(bytes(32), SECRET, "sha256")
    expanded = hmac.digest(extracted, b"facereco/app-key/1\x01", "sha256")

    assert vault.derive("app-key/1") == expanded


def test_the_vault_can_check_itself(vault: Vault):
    vault.self_check()
