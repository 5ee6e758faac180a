"""The starter pack at work on the pictures that come with the dependencies."""

from pathlib import Path

import insightface.data
import numpy as np
import pytest
import skimage.data

from app.vision.analyzer import Analyzer
from app.vision.packs import PackCatalog

MODELS = Path(__file__).resolve().parents[3] / "models"


@pytest.fixture(scope="session")
def catalog():
    return PackCatalog(MODELS)


@pytest.fixture(scope="session")
def analyzer(catalog):
    opened = Analyzer.open(catalog, "starter", workers=2, backlog=32)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def astronaut():
    """One face in 512x512 pixels, her eyes near (204, 102) and (247, 102)."""
    return np.ascontiguousarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def crowd():
    """Six people in 1280x886 pixels."""
    return np.ascontiguousarray(insightface.data.get_image("t1")[..., ::-1])
