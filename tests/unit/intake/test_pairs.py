"""Lists of pairs are read as they are written, and what is wrong with one is told by its line."""

import pytest

from app.domain.errors import ConfigurationError
from app.intake.pairs import people_below, read_labelled, read_pairs, read_scored


def written(tmp_path, text, name="pairs.csv"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def test_pairs_of_lfw_come_by_folds(tmp_path):
    file = written(tmp_path, "2\t1\nAda\t1\t2\nAda\t1\tBob\t3\nCleo\t4\t5\nCleo\t4\tAda\t2\n")

    pairs = read_pairs(file, tmp_path)

    assert [(pair.same, pair.fold) for pair in pairs] == [
        (True, 1), (False, 1), (True, 2), (False, 2)
    ]  # fmt: skip
    assert pairs[1].second == tmp_path / "Bob" / "Bob_0003.jpg"


@pytest.mark.parametrize(
    "text", ["", "x y", "1\t1\nAda 1\n", "1\t1\nAda\tone\ttwo\n", "1 0\nA 1 2"]
)
def test_a_file_that_is_no_list_of_pairs_is_refused_in_one_line(tmp_path, text):
    with pytest.raises(ConfigurationError, match="no list of pairs") as refused:
        read_pairs(written(tmp_path, text), tmp_path)

    assert "\n" not in str(refused.value)


def test_labelled_and_scored_pairs_are_read_from_their_columns(tmp_path):
    labelled = written(tmp_path, "left,right,same\na.jpg,b.jpg,1\na.jpg,c.jpg,no\n")
    scored = written(tmp_path, "left,right,similarity,same\na.jpg,b.jpg,99.5,\n", "cloud.csv")

    assert [pair.same for pair in read_labelled(labelled, tmp_path)] == [True, False]
    (pair,) = read_scored(scored, tmp_path)
    assert (pair.first, pair.similarity, pair.same) == (tmp_path / "a.jpg", 99.5, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column left or right or similarity"),
        ("left;right;similarity\na;b;1\n", "no column left or right or similarity"),
        ("left,right\na,b\n", "no column similarity"),
        ("left,right,similarity,similarity\na,b,1,2\n", "no column similarity, or two"),
        ("left,right,similarity\na,b,100.5\n", "line 2: similarity"),
        ("left,right,similarity\na,b,-1\n", "line 2: similarity"),
        ("left,right,similarity\na,b,high\n", "line 2: similarity"),
        ("left,right,similarity\na,b\n", "line 2: similarity"),
        ("left,right,similarity\na,b,1\n\na,b,nan\n", "line 4: similarity"),
        ("left,right,similarity\na,b,99,5\n", "line 2: 4 cells for 3 columns"),
        ("left,right,similarity,same\na,b,1,perhaps\n", "line 2: same"),
        ("left,right,similarity\n,b,1\n", "line 2: left and right each name a photo"),
        ("left,right,similarity\na,a,1\n", "line 2: left and right are the same photo"),
        ("left,right,similarity\na,b,1\nb,a,2\n", "line 3: line 2 tells otherwise"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path, text, said):
    with pytest.raises(ConfigurationError, match=said):
        read_scored(written(tmp_path, text), tmp_path)


def test_a_pair_that_is_listed_twice_counts_once(tmp_path):
    text = "left,right,similarity\na,b,99.5\na,c,3\na,b,99.50\nb,a,99.5\n"

    assert len(read_scored(written(tmp_path, text), tmp_path)) == 2


def test_a_list_may_come_from_a_spreadsheet(tmp_path):
    text = "\ufeffleft, right ,similarity\r\na.jpg, b.jpg ,99.5\r\n\r\n"

    (pair,) = read_scored(written(tmp_path, text), tmp_path)

    assert (pair.second, pair.similarity) == (tmp_path / "b.jpg", 99.5)


def test_people_are_folders(tmp_path):
    for name in ("ada/1.jpg", "ada/notes.txt", "bob/2.PNG", "loose.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    found = [(who, path.name) for who, path in people_below(tmp_path)]

    assert found == [("ada", "1.jpg"), ("bob", "2.PNG")]
