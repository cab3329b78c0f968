"""Surprise per character and line, the search for units that follow something, and the page and how it escapes."""

import html.parser
import math
import re

import numpy as np
import pytest

from charrnn import CharRNN, SettingsError, TextError, Vocabulary
from charrnn.cli.main import main
from charrnn.display.visible import shown, visible
from charrnn.evaluation import surprise, units
from charrnn.report import explain

NASTY = (
    "<script>alert(\"x & y\")</script> </div>\n\tif a < b && c > 'd':\r\x00\x1b[31m\x07\x7f\u202eevil\u200b\x85\u2028 "
    'e\u0301 \xa0 שלום 日本 😀 &amp; &#60; ␀ {{ 7*7 }} {% raw %} "quoted" (in brackets)\n\n'
)
STORY = '"Come," said the cat. "It is late."\n\nThe dog, who was old, slept on. (So did I.)\n\n' * 30


@pytest.fixture(scope="module")
def trained():
    """A model that knows STORY well."""
    model = CharRNN(hidden_size=24, seed=3)
    model.train(STORY, updates=1500, progress=False, sample_every=None)
    return model


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: its elements, and the text and hints of the coloured characters."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.hints, self.signs, self.inside = [], [], [], 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        hint = dict(attributes).get("data-h")
        if hint is not None:
            self.hints.append(hint)
            self.signs.append("")
        self.coloured = hint is not None

    def handle_endtag(self, tag):
        self.coloured = False

    def handle_data(self, data):
        if getattr(self, "coloured", False):
            self.signs[-1] += data


# ---- surprise ---------------------------------------------------------------------------------------------------------


def test_lines_have_the_bits_of_their_characters(trained, level):
    model = CharRNN.from_tensors(trained.to_tensors(), trained.to_metadata(), level=level)
    text = STORY[:700] + "The dog"
    bits = np.append(np.nan, model.losses(text) / math.log(2))
    lines = list(surprise.line_bits(model, text))
    assert "\n".join(line.text for line in lines) == text
    for line in lines:
        own = bits[line.start : line.start + len(line.text) + 1]
        assert line.bits == pytest.approx(np.nansum(own), rel=1e-5)
        assert line.characters == np.isfinite(own).sum()
        assert text.count("\n", 0, line.start) == line.number - 1
    total = model.evaluate(text)
    assert sum(line.characters for line in lines) == total.characters
    assert sum(line.bits for line in lines) / total.characters == pytest.approx(total.bits_per_char, rel=1e-5)


def test_blocks_carry_the_state(trained):
    corpus = trained.corpus_of(STORY)
    hidden = np.concatenate([block.hidden.copy() for block in surprise.read_through(trained.network, corpus, 600)], axis=1)
    assert hidden.shape == (1, 599, 24)
    _, _, state = trained.loss_and_gradients(corpus.read(0, 599), corpus.read(1, 600))
    np.testing.assert_allclose(hidden[:, -1], state[:, 0, 0], atol=1e-4)


def test_extremes_leave_short_lines_out(trained):
    least, most = surprise.extremes(surprise.line_bits(trained, STORY), 3)
    assert {line.text for line in least} == {line.text for line in most} == {line for line in STORY.split("\n") if len(line) >= 20}
    assert least[0].bits_per_char > least[1].bits_per_char
    assert most[0].bits_per_char < most[1].bits_per_char
    assert "no line" in surprise.describe_extremes(*surprise.extremes(surprise.line_bits(trained, "the cat\nsaid"), 3))


def test_repeated_lines_are_listed_once():
    rng = np.random.default_rng(4)
    texts = [f"line {i}" for i in rng.integers(0, 9, 300)]
    lines = [
        surprise.Line(n, 0, text, float(bits), 1) for n, (text, bits) in enumerate(zip(texts, rng.integers(0, 40, 300), strict=True), 1)
    ]
    least, most = surprise.extremes(lines, 4, shortest=1)
    highest = {text: max(line.bits for line in lines if line.text == text) for text in set(texts)}
    lowest = {text: min(line.bits for line in lines if line.text == text) for text in set(texts)}
    assert [line.bits for line in least] == sorted(highest.values(), reverse=True)[:4]
    assert [line.bits for line in most] == sorted(lowest.values())[:4]
    for chosen in (least, most):
        assert len({line.text for line in chosen}) == 4
    for line in least:
        assert line.number == min(other.number for other in lines if (other.text, other.bits) == (line.text, line.bits))


def test_unexpected_line_comes_first(trained):
    odd = "tac eht dias emoC etal si tI"
    least, most = surprise.extremes(surprise.line_bits(trained, STORY[: STORY.index("The dog")] + odd + "\n" + STORY[:200]), 2)
    assert odd in [line.text for line in least]
    assert odd not in [line.text for line in most]


def test_lines_of_bytes():
    text = bytes(range(256)) + b"caf\xc3\xa9 at the end of this\n"
    model = CharRNN(hidden_size=4, init_std=0, vocabulary=Vocabulary.from_text(text))
    lines = list(surprise.line_bits(model, text))
    assert [line.text for line in lines] == text.split(b"\n")[:-1]
    assert lines[-1].bits_per_char == pytest.approx(8)
    assert "⟨xC3⟩⟨xA9⟩" in shown(lines[-1].text)


def test_too_short_and_unknown_texts(trained):
    for text in ("T", "", "ŧŧŧŧ"):
        with pytest.raises(TextError):
            list(surprise.line_bits(trained, text))
        with pytest.raises(TextError):
            explain.look(trained, text)
    with pytest.raises(SettingsError, match="limit"):
        explain.look(trained, STORY, limit=1)


def test_everything_invisible_gets_a_symbol_of_its_own():
    codes = [*range(32), *range(127, 161), 0x200B, 0x2028, 0x202E, 0xFEFF, 0xE000]
    signs = [visible(chr(code)) for code in codes]
    assert len(set(signs)) == len(signs)
    assert all(sign.isprintable() and not sign.isspace() for sign in signs)
    assert all(visible(chr(code)) == chr(code) for code in range(32, 127))
    assert len({visible(chr(byte), raw_byte=True) for byte in range(256)}) == 256


# ---- units ------------------------------------------------------------------------------------------------------------


def properties_of(text):
    vocabulary = Vocabulary.from_text(text)
    return {p.name: p for p in units.visible_properties(vocabulary.encode(text), vocabulary)}


@pytest.mark.parametrize(
    ("name", "text", "marks"),
    [
        ("inside quotation marks", 'a "b" c “d ”e.', "0011000011100"),
        ("inside quotation marks", 'a "b\n\nc "d" e.', "0011100011000"),  # forgotten, until the paragraph ends
        ("inside brackets", "a (b [c] d) e.", "0011111111000"),
        ("first letter of a word", "Two tens, 1.", "10001000000"),
        ("last letter of a word", "Two tens, 1.", "00100001000"),
        ("letters of the word so far", "Two tens, 1.", "12301234000"),
        ("vowels", "Été, aü b?", "101001100"),
        ("capital letters", "Été, AB b.", "100001100"),
        ("digits", "a 12, b3.", "00110001"),
        ("from a sentence's end to a letter", 'A b. "C d.', "000111000"),
        ("characters since the line began", "ab\ncde\nf.", "12012301"),
        ("line ends", "ab\ncde\nf.", "00100010"),
    ],
)
def test_properties(name, text, marks):
    assert "".join(map(str, properties_of(text)[name].values.astype(int))) == marks


def test_properties_of_lines_and_paragraphs():
    text = "x" * 30 + "\n\n" + "y" * 30 + "\n" + "z" * 30
    found = properties_of(text)
    lines, paragraphs = "first ten characters of a line", "first twenty characters of a paragraph"
    assert np.flatnonzero(found[lines].values).tolist() == [*range(10), *range(32, 42), *range(63, 73)]
    assert np.flatnonzero(found[paragraphs].values).tolist() == list(range(32, 52))


def test_raw_bytes_are_letters_only_where_they_are_ascii():
    vocabulary = Vocabulary("aé", raw_bytes=True)
    found = {p.name: p for p in units.visible_properties(np.array([0, 1, 1, 0]), vocabulary)}
    assert found["letters"].values.tolist() == [True, False, False]


def test_search_agrees_with_numpy_and_finds_what_was_planted():
    rng = np.random.default_rng(5)
    n, m = 20_000, 7  # more than twice what is multiplied at once
    yes = np.repeat(rng.random(n // 5) < 0.3, 5)
    count = np.cumsum(rng.random(n) < 0.01) % 90 + 1000
    hidden = np.tanh(rng.normal(size=(n, m)))
    hidden[:, 4] = 0.7 * yes + 0.3 * hidden[:, 4]
    hidden[:, 2] = -0.01 * (count - 1045) + 0.2 * hidden[:, 2]
    hidden[:, 6] = 0.25  # a dead unit
    rare = np.arange(n) == 17
    columns = {"yes": yes, "count": count, "rare": rare}
    search = units.Search([units.Property(name, values) for name, values in columns.items()], m)
    for start in range(0, n, 333):
        search.add(hidden[start : start + 333])
    found = {f.what.name: f for f in search.result()}
    assert search.left_out == ["rare"]
    assert (found["yes"].unit, found["count"].unit) == (4, 2)
    for name, values in ("yes", yes), ("count", count):
        f, h = found[name], n // 2
        assert f.chosen == pytest.approx(np.corrcoef(values[:h], hidden[:h, f.unit])[0, 1], abs=1e-4)
        assert f.r == pytest.approx(np.corrcoef(values[h:], hidden[h:, f.unit])[0, 1], abs=1e-4)
    assert found["yes"].follows
    assert found["yes"].chance < 0.1 < 0.8 < found["yes"].r
    assert found["count"].r < -0.8


def test_units_of_noise_follow_nothing():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(3000, 40)).cumsum(0) * 0.02  # wanders slowly, so that chance correlations are large
    slow = np.sin(np.arange(3000) / 80) > 0
    search = units.Search([units.Property("slow", slow)], 40)
    search.add(np.tanh(noise))
    (found,) = search.result()
    assert abs(found.chosen) > 0.3  # on the half where it was chosen
    assert not found.follows


# ---- the page ---------------------------------------------------------------------------------------------------------


def test_page_shows_a_nasty_text_as_it_is():
    text = NASTY * 12
    model = CharRNN(hidden_size=12, seed=1)
    model.train(text, updates=300, progress=False, sample_every=None)
    page = explain.to_html(explain.look(model, text), title='<b>"me" & co</b>')
    parsed = Page(page)
    assert not {"script", "b ", "img", "link", "iframe"} & set(parsed.tags)
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert parsed.signs[: len(text)] == [visible(c) for c in text]
    assert "&lt;b&gt;&#34;me&#34; &amp; co&lt;/b&gt;" in page
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028\u200b]", page)
    assert "49 }}" not in page
    assert len(page) < 1_500_000


def test_page_of_4000_characters_is_small_and_hints_are_right(trained):
    view = explain.look(trained, STORY * 2, limit=4000)
    page = explain.to_html(view)
    assert len(page.encode()) < 1_500_000
    hints = Page(page).hints
    assert "nothing foretells it" in hints[0]
    for i in (1, 77, 3999):
        probabilities = np.exp(-trained.losses(STORY * 2)[i - 1])
        assert explain.percent(probabilities) in hints[i].split("\n")[0]
        assert hints[i].split("\n")[1].count("%") == 5
    assert "Shown are the first 4,000 of" in page
    assert (view.chances[:, :-1] >= view.chances[:, 1:]).all()


def test_small_texts_and_limits(trained):
    for text in ("Co", "\n\n\nCome", "Come", STORY[:401]):
        view = explain.look(trained, text, limit=400)
        page = explain.to_html(view)
        assert view.shown == min(400, len(text))
        assert len([line for line in view.lines() if line.start < view.shown]) == page.count('class="row"')
    few = explain.look(trained, STORY, limit=50, read=60)
    assert (few.length, len(few.hidden)) == (60, 50)
    assert few.bits_per_char == pytest.approx(trained.evaluate(STORY[:60]).bits_per_char, rel=1e-5)


def test_units_are_shown_once_and_follow_something(trained):
    view = explain.look(trained, STORY)
    page = explain.to_html(view, units=3)
    shown = re.findall(r"<h3>Unit (\d+):", page)
    assert len(shown) == len(set(shown)) == 3
    assert view.followers[0].follows
    assert abs(view.followers[0].r) > 0.4
    r = [abs(f.r) for f in view.followers if f.follows]
    assert r == sorted(r, reverse=True)


# ---- states and gates ---------------------------------------------------------------------------------------------------


def test_blocks_have_the_states_and_gates_of_every_layer(level):
    for cell in ("rnn", "gru", "lstm"):
        model = CharRNN(hidden_size=5, cell=cell, layers=2, init_std=0.7, vocabulary="ab c", level=level)
        [block] = surprise.read_through(model.network, model.corpus_of("ab c cab" * 4))
        kind, h = model.network.architecture.kind, block.hidden[1].astype(float)
        assert block.states.shape == (2, len(kind.states), 31, 5)
        assert block.gates.shape == (2, kind.rows, 31, 5)
        before = np.concatenate([np.zeros((1, 5)), h[:-1]])
        gates = dict(zip(kind.gates, block.gates[1], strict=False))
        if cell == "gru":
            again = (1 - gates["z"]) * gates["n"] + gates["z"] * before
        else:
            again = gates["o"] * np.tanh(block.states[1, 1]) if cell == "lstm" else gates[""]
        np.testing.assert_allclose(again, h, atol=1e-5)


def test_heat_of_a_line_is_what_the_layer_did(monkeypatch):
    model = CharRNN(hidden_size=6, cell="gru", layers=2, init_std=0.7, seed=2, vocabulary=Vocabulary.from_text(STORY))
    text = STORY * 3
    view = explain.look(model, text, limit=100, line=3, layer=1)
    [line] = [line for line in view.lines() if line.number == 3]
    heat = view.heat
    assert (heat.layer, heat.start, heat.length) == (0, line.start, len(line.text))
    whole = np.concatenate([block.states[0, 0] for block in surprise.read_through(model.network, model.corpus_of(text), 400)])
    np.testing.assert_allclose(heat.states[0], whole[line.start : line.start + heat.length], atol=1e-6)
    np.testing.assert_allclose(view.hidden, whole[:100] if len(view.hidden) == 100 else whole[:99], atol=1e-6)
    assert sorted(heat.units) == list(range(6))
    assert all(follower.unit < 6 for follower in view.followers)
    assert view.unit_name(3) == "layer 1, unit 3"
    assert explain.look(model, text).heat.layer == 1
    far = STORY[:35].replace("\n", " ") * 7  # the second line goes on from one block into the next
    [first, second] = [block.states[1, 0].copy() for block in surprise.read_through(model.network, model.corpus_of(f"{far}\n{far}"))]
    crossing = np.concatenate([first, second])[len(far) + 1 :][:72]
    np.testing.assert_allclose(explain.look(model, f"{far}\n{far}", line=2).heat.states[0], crossing, atol=1e-6)
    page = explain.to_html(view)
    pictures = re.findall(r'<svg viewBox[^>]*aria-label="([^"]*)">(.*?)</svg>', page)
    assert [name.partition(":")[0] for name, _ in pictures] == ["hidden state h", "reset gate r", "update gate z", "candidate n"]
    for _, picture in pictures:
        cells = np.zeros((6, heat.length), int)
        for path in re.findall(r' d="([^"]*)"', picture):
            for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path):
                cells[int(y), int(x) : int(x) + int(width)] += 1
        assert (cells == 1).all()  # every cell has one colour
        assert re.findall(r'class="l">([^<]*)<', picture) == [html_of(c) for c in line.text]
    assert "https" not in page


def html_of(character):
    return {'"': "&#34;", " ": "␣"}.get(character, character)


def test_shares_of_open_gates():
    model = CharRNN(hidden_size=7, cell="lstm", init_std=1.5, seed=1, vocabulary=Vocabulary.from_text(STORY))
    view = explain.look(model, STORY[:500])
    gates = np.concatenate([block.gates for block in surprise.read_through(model.network, model.corpus_of(STORY[:500]))], axis=2)
    assert [share.gate for share in view.shares] == ["i", "f", "o"]
    for share, g in zip(view.shares, (0, 1, 3), strict=True):
        assert share.mean == pytest.approx(gates[0, g].mean(), rel=1e-5)
        assert share.open == (gates[0, g] > 0.9).mean()
        assert share.closed == (gates[0, g] < 0.1).mean()
    assert explain.look(CharRNN(hidden_size=3, vocabulary="ab"), "ab").shares == []


def test_layers_and_lines_that_are_not_there(trained):
    for wrong, message in ({"layer": 2}, "at most 1"), ({"line": 10_000}, "as many as were read"), ({"line": 2}, "is empty"):
        with pytest.raises(SettingsError, match=message):
            explain.look(trained, STORY, **wrong)


def luminance(colour):
    """WCAG 2.2's relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("colours", [explain.LIGHT, explain.DARK], ids=["light", "dark"])
def test_colours_can_be_read_and_told_apart(colours):
    def contrast(a, b):
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    for i, colour in enumerate(colours["surprise"]):
        assert contrast(colour, colours["text"][i >= explain.INVERTED]) > 5
    for colour in colours["activation"]:
        assert contrast(colour, colours["text"][0]) > 5
    steps = np.diff([luminance(colour) for colour in colours["surprise"]])
    assert (steps < 0).all() or (steps > 0).all()  # one direction: also without hues
    assert len(colours["surprise"]) == len(explain.EDGES) + 1


def test_commands(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained.save("model.safetensors")
    (tmp_path / "story.txt").write_text(STORY, encoding="utf-8")
    words = ["explain", "model.safetensors", "story.txt"]
    assert main([*words, "--out", "page.html", "--limit", "500", "--units", "1"]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<h3>Unit ") == 1
    assert "Shown are the first 500" in page
    assert "wrote page.html" in capsys.readouterr().out
    assert main([*words, "--limit", "0"]) == 2
    assert main([*words, "--out", "missing/page.html"]) == 1
    assert "limit" in capsys.readouterr().err
    assert main(["evaluate", "model.safetensors", "story.txt", "--lines", "2"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"least expected lines.*\n  \d\.\d\d  line \d+: .*\n  .*\nmost expected", out)
