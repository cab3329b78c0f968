"""Characters and their ids."""

import json
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import CharRNNError, SettingsError, TextError
from charrnn.text.vocabulary import Vocabulary, id_type

seeded = settings(derandomize=True, deadline=None)
texts = st.text(min_size=2).filter(lambda text: len(set(text)) > 1) | st.binary(min_size=2).filter(lambda text: len(set(text)) > 1)


@seeded
@given(text=texts, block=st.integers(1, 9))
def test_a_text_comes_back_from_its_ids_whatever_the_block_size(text, block):
    with patch("charrnn.text.vocabulary.BLOCK", block):
        vocabulary = Vocabulary.from_text(text)
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids) == text
    symbols = sorted(set(text))
    assert list(vocabulary.characters) == (symbols if isinstance(text, str) else list(map(chr, symbols)))
    assert ids.dtype == np.int32
    assert ids.tolist() == [symbols.index(symbol) for symbol in text]


@seeded
@given(text=texts)
def test_a_vocabulary_comes_back_from_its_json(text):
    vocabulary = Vocabulary.from_text(text)
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert again.encode(text).tolist() == vocabulary.encode(text).tolist()


@pytest.mark.parametrize("text", ["\0a\0", "e\u0301é", "𝄞𝄢𝄞", "\U0010ffff\0", "\ufeff ", "\r\n"])
def test_nul_combining_marks_and_astral_characters_are_ordinary(text):
    vocabulary = Vocabulary.from_text(text)
    assert vocabulary.characters == "".join(sorted(set(text)))
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_str_and_bytes_of_the_same_characters_are_different_vocabularies():
    assert Vocabulary.from_text("ab").characters == Vocabulary.from_text(b"ab").characters
    assert Vocabulary.from_text("ab") != Vocabulary.from_text(b"ab")
    assert Vocabulary("ab") != "ab"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_bytes_is_read(kind):
    assert Vocabulary.from_text(kind(b"hello")).encode(kind(b"hole")).tolist() == [1, 3, 2, 0]


def test_membership():
    assert "a" in Vocabulary("ab")
    assert [key in Vocabulary("ab") for key in ("c", "ab", "", 97, b"a", None)] == [False] * 6
    raw = Vocabulary("ab", raw_bytes=True)
    assert b"a" in raw
    assert 98 in raw
    assert [key in raw for key in ("a", b"ab", b"", 99, -1, 300, None)] == [False] * 7


def test_repr_is_one_short_line():
    assert repr(Vocabulary("\nab")) == r"<Vocabulary of 3 characters: '\nab'>"
    assert len(repr(Vocabulary([chr(32 + code) for code in range(5000)]))) < 250


def test_the_empty_text_encodes_and_decodes():
    vocabulary = Vocabulary("ab")
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.decode([]) == ""
    assert Vocabulary("ab", raw_bytes=True).decode(np.zeros(0, np.uint8)) == b""


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint32, np.int64])
def test_ids_of_any_integer_type_decode_and_stay_as_they_are(dtype):
    ids = np.array([1, 0, 1], dtype)
    ids.flags.writeable = False
    assert Vocabulary("ab").decode(ids) == "bab"


@pytest.mark.parametrize(
    ("ids", "message"), [([0, 2], "from 0 to 1, got 2"), ([-1, 0], "got -1"), ([0.5], "float64"), ([[0, 1]], r"\(1, 2\)"), (0, r"\(\)")]
)
def test_ids_that_are_none(ids, message):
    with pytest.raises(TextError, match=message):
        Vocabulary("ab").decode(ids)


@pytest.mark.parametrize("block", [1, 2, 3, 1000])
def test_strangers_are_named_with_their_first_offsets(block):
    with patch("charrnn.text.vocabulary.BLOCK", block):
        with pytest.raises(TextError) as caught:
            Vocabulary("ab").encode("a☃b\0☃é")
        assert str(caught.value) == (
            "3 characters are not in the vocabulary of 2: '☃' (U+2603) at offset 1, "
            r"'\x00' (U+0000) at offset 3, 'é' (U+00E9) at offset 5"
        )
        with pytest.raises(TextError, match=r"1 byte value is not .* of 2: 0xff at offset 2$"):
            Vocabulary.from_text(b"ab").encode(b"ab\xff\xff")
        with pytest.raises(TextError, match=r"26 characters are not .* 'E' .* and 21 more$"):
            Vocabulary("ab").encode("abABCDEFGHIJKLMNOPQRSTUVWXYZ")


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_lone_surrogates_are_refused_with_their_offset(block):
    with patch("charrnn.text.vocabulary.BLOCK", block):
        for use in (Vocabulary.from_text, Vocabulary("ab").encode):
            with pytest.raises(TextError, match=r"U\+D83D at offset 4 is half of a character"):
                use("abba\ud83d\ude00")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Vocabulary(""), "at least two distinct characters, found none"),
        (lambda: Vocabulary.from_text(""), "found none"),
        (lambda: Vocabulary.from_text(b""), "two distinct byte values, found none"),
        (lambda: Vocabulary.from_text("aaa"), r"at least two distinct characters, found only 'a' \(U\+0061\)"),
        (lambda: Vocabulary.from_text(b"\n\n"), "found only 0x0a"),
        (lambda: Vocabulary("ba"), "sorted and distinct"),
        (lambda: Vocabulary("aa"), "sorted and distinct"),
        (lambda: Vocabulary(["a", "bc"]), "single characters"),
        (lambda: Vocabulary(["a", 7]), "single characters"),
        (lambda: Vocabulary(7), "single characters"),
        (lambda: Vocabulary(np.arange(3)), "single characters"),
        (lambda: Vocabulary(np.array([["a"], ["b"]])), "single characters"),
        (lambda: Vocabulary(np.array("ab")[None][:0]), "found none"),
        (lambda: Vocabulary.from_text(np.array(["a", "b"])), "must be str or bytes, got ndarray"),
        (lambda: Vocabulary.from_text(memoryview(np.arange(9))[::2]), "a memoryview with gaps"),
        (lambda: Vocabulary("a\ud800"), "lone surrogate"),
        (lambda: Vocabulary("aĀ", raw_bytes=True), "bytes go up to 255"),
        (lambda: Vocabulary.from_text(["a", "b"]), "must be str or bytes, got list"),
        (lambda: Vocabulary("ab").encode(None), "must be str or bytes, got NoneType"),
        (lambda: Vocabulary("ab").encode(b"ab"), "texts of type str, got bytes"),
        (lambda: Vocabulary.from_text(b"ab").encode("ab"), "texts of type bytes, got str"),
        (lambda: Vocabulary.from_json({"characters": "ab"}), "a stored vocabulary needs"),
        (lambda: Vocabulary.from_json({"characters": ["a", "b"], "raw_bytes": False}), "a stored vocabulary needs"),
        (lambda: Vocabulary.from_json({"characters": "ab", "raw_bytes": 1}), "a stored vocabulary needs"),
        (lambda: Vocabulary.from_json("ab"), "a stored vocabulary needs"),
    ],
)
def test_errors_say_what_was_wrong(make, message):
    with pytest.raises(TextError, match=message) as caught:
        make()
    assert isinstance(caught.value, CharRNNError)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("size", "itemsize"), [(2, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4), (1_114_112, 4)])
def test_ids_take_the_smallest_type(size, itemsize):
    dtype = id_type(size)
    assert dtype.itemsize == itemsize
    assert dtype.kind == "u"
    assert np.iinfo(dtype).max >= size - 1


def test_arrays_of_characters_and_what_raw_bytes_may_be():
    assert Vocabulary(np.array(["a", "b"])) == Vocabulary("ab")
    for wrong in (np.array([1, 2]), 1, None):
        with pytest.raises(SettingsError, match="raw_bytes must be True or False"):
            Vocabulary("ab", raw_bytes=wrong)
