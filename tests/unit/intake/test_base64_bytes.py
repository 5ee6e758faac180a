"""Base64: standard, complete, with line breaks and nothing else."""

import base64

import pytest

from app.domain.errors import ImageTooLarge, InvalidImageBytes
from app.intake.base64_bytes import decode_base64

DATA = bytes(range(256))
TEXT = base64.b64encode(DATA).decode()


@pytest.mark.parametrize("cut", [DATA, DATA[:-1], DATA[:-2], b"a"])
def test_what_was_encoded_comes_back(cut):
    text = base64.b64encode(cut).decode()

    assert decode_base64(text, max_bytes=1000) == cut


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\n\n"])
def test_line_breaks_may_stand_anywhere(line_break):
    text = line_break + line_break.join(TEXT[i : i + 7] for i in range(0, len(TEXT), 7))

    assert decode_base64(text + line_break, max_bytes=1000) == DATA


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\r\n\r\n",
        "=",
        "====",
        "!!!!",
        "Q",
        "QQ",
        "QQ=",
        "QQ===",
        "QQ====",
        "QUI",
        "QUJD=",
        "QUJD====",
        "QQ==QQ==",
        "QQ==\nQQ==",
        "QU I=",
        " QUI=",
        "QUI= ",
        "QU\tI=",
        "QU\x0bI=",
        "QU\x00I",
        "-_-_",
        "+-/_",
        "data:image/png;base64,QUI=",
        "QUI=\u2028",
        "\u0411\u0411\u0411\u0411",
        "\uff31\uff31\uff1d\uff1d",
        "\ud800AAA",
    ],
)
def test_anything_but_standard_base64_is_refused(text):
    with pytest.raises(InvalidImageBytes):
        decode_base64(text, max_bytes=1000)


@pytest.mark.parametrize("size", [9, 10, 11])
def test_a_file_as_large_as_allowed_passes(size):
    data = bytes(size)

    assert decode_base64(base64.b64encode(data).decode(), max_bytes=size) == data


@pytest.mark.parametrize("size", [10, 11, 12, 5000])
def test_one_byte_more_is_too_large(size):
    text = base64.b64encode(bytes(size)).decode()

    with pytest.raises(ImageTooLarge):
        decode_base64(text, max_bytes=size - 1)


def test_line_breaks_do_not_count_as_size():
    text = "\n".join(TEXT) + "\n"

    assert decode_base64(text, max_bytes=len(DATA)) == DATA


def test_too_large_is_said_without_decoding():
    with pytest.raises(ImageTooLarge):
        decode_base64("!" * 5000, max_bytes=100)
