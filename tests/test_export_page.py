"""The page that `export` makes, in a real browser: its numbers are charrnn's, its text is charrnn's, and it can be used."""

import json
import re

import numpy as np
import pytest
from browser import Browser, needs_chromium

from charrnn import CharRNN
from charrnn.export.html import to_html

UNICODE = "".join(sorted("\n\t abcdeé\u0301ש中🙂</-!"))  # what HTML, JSON and UTF-16 could stumble over
TEXT = "a bad 🙂 cab</\n\tdé\u0301 ש中 -! ab"
KINDS = [("rnn", 1), ("gru", 1), ("lstm", 1), ("lstm", 2), ("gru", 2)]


def model_of(cell, layers, vocabulary=UNICODE, m=13, std=0.5, **more):
    """A model with random weights, biases too, of a size that is padded."""
    made = CharRNN(m, cell=cell, layers=layers, vocabulary=vocabulary, seed=5, **more)
    rng = np.random.default_rng([layers, m])
    for array in made.parameters.values():
        array[:] = rng.normal(0, std, array.shape)
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


READ = """
    const net = new Network(about, weights), ids = vocabulary.encode(TEXT), p = [];
    for (const k of ids) { net.step(k); p.push(...net.probabilities()); }
    const reader = new Reader(); await reader.read(TEXT);
    $("beginning").value = "a b"; $("seed").value = "7"; $("length").value = "40"; $("speed").value = "0"; $("top-k").value = "9";
    $("top-p").value = "0.95"; $("min-p").value = "0.01"; $("temperature").value = "0.9"; $("write").requestSubmit();
    await until(() => $("write-status").textContent.startsWith("Wrote"));
    const random = pcg64(123456789012345678901n);
    return { ids: Array.from(ids), p, mean: reader.mean, nats: Array.from(reader.nats), written: $("written").textContent,
        numbers: [random(), random(), random()], status: $("write-status").textContent, failure: $("failure").hidden,
        cells: $("coloured").querySelectorAll("span").length, requests: performance.getEntriesByType("resource").length };
"""


@needs_chromium
@pytest.mark.parametrize(("cell", "layers"), KINDS)
def test_the_page_computes_what_charrnn_computes(cell, layers, browser, tmp_path):
    model = model_of(cell, layers)
    browser.open(to_html(model.network), tmp_path / "page.html")
    found = browser.run(f"const TEXT = {json.dumps(TEXT)};" + READ)
    assert found["failure"]
    assert found["requests"] == 0
    assert found["ids"] == model.vocabulary.encode(TEXT).tolist()
    expected = np.array([model.probabilities(TEXT[: i + 1], array=True) for i in range(len(TEXT))])
    assert np.abs(np.array(found["p"]).reshape(expected.shape) - expected).max() < 1e-5
    assert np.abs(np.array(found["nats"][1:], float) - model.losses(TEXT)).max() < 1e-5
    assert found["mean"] == pytest.approx(model.evaluate(TEXT).loss, abs=1e-5)
    assert found["cells"] == len(TEXT)
    assert found["written"] == "a b" + model.generate("a b", 40, seed=7, top_k=9, top_p=0.95, min_p=0.01, temperature=0.9)
    assert found["numbers"] == np.random.Generator(np.random.PCG64(123456789012345678901)).random(3).tolist()
    assert "Seed 7" in found["status"]


@needs_chromium
def test_a_page_of_raw_bytes_in_float16(browser, tmp_path):
    data = "añb\n".encode()
    model = model_of("gru", 2, vocabulary=bytes(sorted(set(data))), m=8)
    half = model.copy()
    for array in half.parameters.values():
        array[:] = array.astype(np.float16)
    code = """
        const reader = new Reader(); await reader.read("añb\\r\\na");
        $("beginning").value = "añ"; $("seed").value = "1"; $("length").value = "30"; $("speed").value = "0"; $("write").requestSubmit();
        await until(() => $("write-status").textContent.startsWith("Wrote"));
        return { mean: reader.mean, shown: $("coloured").textContent, written: $("written").textContent };
    """
    page = to_html(model.network, float16=True)
    browser.open(page, tmp_path / "page.html")
    found = browser.run(code)
    assert found["mean"] == pytest.approx(half.evaluate("añb\na".encode()).loss, abs=1e-5)
    assert found["shown"] == "a⟨xC3⟩⟨xB1⟩b↵a"
    written = "añ".encode() + half.generate("añ".encode(), 30, seed=1)
    assert found["written"] == written.decode("utf-8", "replace").rstrip("\ufffd")
    assert len(page) < len(to_html(model.network))


@needs_chromium
def test_the_page_in_use(browser, tmp_path):
    """Stop, go on, keys, unknown characters, a field that is wrong: as a person meets them."""
    code = """
        const press = (id, key, more) => $(id).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more }));
        const seen = {};
        $("length").value = "1000000"; $("speed").value = "0"; $("temperature").value = "0"; $("beginning").value = "aXb";
        press("beginning", "Enter", { ctrlKey: true });
        await until(() => $("written").textContent.length > 100);
        seen.running = $("stop").textContent;
        press("beginning", "Escape");
        await until(() => $("write-status").textContent.startsWith("Wrote"));
        seen.stopped = $("stop").textContent; seen.status = $("write-status").textContent;
        seen.length = $("written").textContent.length;
        $("length").value = "5"; $("stop").click();
        await until(() => $("write-status").textContent.startsWith("Wrote"));
        seen.more = $("written").textContent.length - seen.length;
        seen.given = $("written").querySelector(".given").textContent;
        $("given").value = "ab\\nXa"; $("read").requestSubmit();
        await until(() => $("coloured").textContent);
        seen.unknown = $("coloured").querySelector(".unknown").textContent; seen.read = $("read-status").textContent;
        press("coloured", "ArrowRight"); seen.first = $("detail").textContent;
        press("coloured", "ArrowRight"); seen.second = $("detail").textContent;
        press("coloured", "End"); seen.here = $("coloured").querySelector(".here").dataset.i;
        $("take").click();
        await until(() => $("given").value.length === $("written").textContent.length);
        $("top-p").value = "7"; $("write").requestSubmit(); seen.rules = $("rules").open;
        seen.unlabelled = [...document.querySelectorAll("textarea, input, select")].filter((field) => !field.labels.length).length;
        return seen;
    """
    browser.open(to_html(model_of("rnn", 1, "\nab").network, title="<b>A</b> title"), tmp_path / "page.html")
    found = browser.run(code)
    assert (found["running"], found["stopped"], found["more"], found["given"]) == ("Stop", "Go on", 5, "ab")
    assert "1 character that the model does not know is left out" in found["status"]
    assert found["unknown"] == "X"
    assert "1 character that the model does not know is left out" in found["read"]
    assert found["first"] == "“a” is the first: nothing foretells it."
    assert re.match(r"“b” after “a”: \d+\.\d bits, .*Expected: ", found["second"])
    assert found["here"] == "4"
    assert found["rules"] is True
    assert found["unlabelled"] == 0


def test_nothing_in_the_page_is_loaded_from_elsewhere():
    page = to_html(model_of("lstm", 2).network, title="</title><script>alert(1)</script>")
    assert not re.search(r"""(src|href)\s*=|@import|url\(|https?://""", page)
    assert "default-src 'none'" in page
    assert "<script>alert" not in page
    assert page.count("</script>") == page.count("<script")
