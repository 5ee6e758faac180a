"""The manifests that ship with the product, whether or not their weights are here."""

import pytest

from app.vision.packs import FileState

KNOWN = [
    "antelopev2",
    "buffalo_l",
    "buffalo_m",
    "buffalo_sc",
    "insightface-research",
    "open",
    "opencv",
    "starter",
]


def test_every_pack_is_described(catalog):
    names = [pack.name for pack in catalog.packs()]

    assert [name for name in KNOWN if name in names] == KNOWN


def test_every_pack_says_its_terms_in_one_line(catalog):
    for pack in catalog.packs():
        assert pack.licence
        assert pack.title
        assert "\n" not in pack.licence + pack.title


def test_a_pack_is_named_as_its_folder(catalog):
    for pack in catalog.packs():
        assert pack.name == pack.folder.name


def test_every_version_is_one_packs_own(catalog):
    versions = [pack.model_version for pack in catalog.packs()]

    assert len(set(versions)) == len(versions)


def test_every_table_of_similarities_can_be_read(catalog):
    for pack in catalog.packs():
        table = catalog.table(pack).calibration
        assert table.similarity(-1.0) < table.similarity(1.0)


@pytest.mark.parametrize("name", ["buffalo_l", "opencv"])
def test_a_download_brings_every_file_of_its_pack(catalog, name):
    pack = catalog.get(name)

    brought = {member for source in pack.download for member in source.members}
    brought |= {source.url.rsplit("/", 1)[1] for source in pack.download if not source.members}

    assert {weights.file for weights in pack.weights()} <= brought


def test_weights_that_are_not_here_are_said_to_be_missing(catalog):
    states = {status.state for status in catalog.status(catalog.get("antelopev2"))}

    assert states <= {FileState.MISSING, FileState.OK}
