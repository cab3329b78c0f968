"""What a stranger's JSON may say: anything else is a `Mismatch` of one short line, never another error."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import CharRNN
from charrnn.files import schema
from charrnn.files.schema import Mismatch, dumps, either, list_of, loads, maybe, number, one_of, table, text, whole, yes_or_no

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.integers().map(lambda n: n**40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def refused(check, value):
    with pytest.raises(Mismatch) as caught:
        check(value, "it")
    message = str(caught.value)
    assert message.startswith("it")
    assert message.isprintable()
    assert len(message) < 300
    return message


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (whole(), [0, 5, schema.MOST], [-1, schema.MOST + 1, 10**5000, True, 1.0, "1", None, [1], math.nan]),
        (whole(1, 9), [1, 9], [0, 10]),
        (number(), [0, 1.5, -1e308], [math.nan, math.inf, -math.inf, 10**400, -(10**400), True, "1", None, []]),
        (number(0, 1), [0, 1, 0.5], [-0.1, 1.1, 2]),
        (text(3), ["", "abc"], ["abcd", 3, None, ["a"], b"a"]),
        (yes_or_no(), [True, False], [0, 1, "true", None]),
        (one_of("a", "b"), ["a"], ["c", ["a"], None, {}]),
        (maybe(whole()), [None, 3], [-3, "x"]),
        (either(whole(), text(9)), [3, "x"], [-3, None, []]),
        (list_of(whole(), longest=2), [[], [1, 2]], [[1, 2, 3], [-1], [[1]], "ab", {}, None]),
        (list_of(text(), shortest=1), [["a"]], [[]]),
        (table({"a": whole()}, {"b": text()}), [{"a": 1}, {"a": 1, "b": "x"}], [{}, {"b": "x"}, {"a": 1, "c": 2}, {"a": -1}, [], None]),
        (table({}, others=whole()), [{}, {"x": 1}], [{"x": "1"}, {"x\x1b": -1}]),
    ],
)
def test_each_check(check, right, wrong):
    for value in right:
        assert check(value, "it") == value
    for value in wrong:
        refused(check, value)


def test_the_place_is_named():
    check = table({"runs": list_of(table({"step": whole()}))})
    assert refused(check, {"runs": [{"step": 1}, {"step": "\x1b[2J"}]}) == (
        r"it: runs[1]: step must be a whole number from 0 to 9,223,372,036,854,775,807, got '\x1b[2J'"
    )
    assert refused(check, {"runs": [{}]}) == "it: runs[0] lacks step"
    assert refused(check, {"runs": [], "more\n": 1}) == r"it has 'more\n', which is not known"


def said(check, value):
    try:
        check(value, "it")
    except Mismatch as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("check", [schema.MODEL, schema.RUN, schema.COURSE, schema.HISTORY], ids=["model", "run", "course", "history"])
@given(value=JSON)
def test_anything_else_is_a_mismatch(check, value):
    for each in (value, {"settings": value, "step": value, "hidden_size": value, "vocabulary": value, "text": value, "keep": value}):
        assert said(check, each).isprintable()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("NaN", "holds 'NaN', which is no finite number"),
        ("[1e400]", "holds '1e400', which is no finite number"),
        ('{"a": -Infinity}', "holds '-Infinity'"),
        ("9" * 101, "holds a number of 101 digits, at most 100 are possible"),
        ("9" * 5000, "holds a number of 5,000 digits"),
        ('{"a": 1, "a": 2}', "has 'a' twice"),
        ("[" * 100_000, "is nested too deeply"),
        ("{", "is not JSON"),
        ("", "is not JSON"),
        (b"\xff", "is not UTF-8 (at byte 0)"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
    ],
)
def test_json_is_read_strictly(source, message):
    with pytest.raises(Mismatch) as caught:
        loads(source, "run.json")
    assert str(caught.value).startswith(f"run.json {message}")
    assert str(caught.value).isprintable()


@given(JSON)
def test_what_is_written_as_json_is_read_back_with_null_for_what_json_has_no_number_for(value):
    def finite(each):
        if isinstance(each, float):
            return each if math.isfinite(each) else None
        if isinstance(each, dict):
            return {key: finite(inner) for key, inner in each.items()}
        return [finite(inner) for inner in each] if isinstance(each, list) else each

    assert json.loads(dumps(value), parse_constant=pytest.fail) == finite(value)


def test_a_models_own_metadata_pass():
    model = CharRNN(hidden_size=4, seed=7)
    model.train("abcab" * 20, updates=3, progress=False)
    metadata = json.loads(json.dumps(model.to_metadata()))
    assert schema.MODEL(metadata, "model") == metadata
    for key, value in (("seed", -1), ("seed", 10**90), ("hidden_size", 1e9), ("vocabulary", "ab"), ("recipe", 5), ("training", [1])):
        refused(schema.MODEL, metadata | {key: value})
    course = metadata["training"]
    assert schema.COURSE(course, "run") == course
    for key, value in (("step", 10**90), ("cursor", "low"), ("settings", [1]), ("fingerprint", {}), ("done", 2.0)):
        refused(schema.COURSE, course | {key: value})
