"use strict";
// A text that is given, coloured by how much each of its characters surprises the network.

const EDGES = [0.5, 1, 2, 3, 4.5, 6, 8];            // bits, between the colours
const LONGEST = 20000, LIKELIEST = 5, BEFORE = 12;  // characters coloured; expected ones that are named; those quoted before one

class Reader {
  constructor() {
    this.network = new Network(about, weights);
    this.turn = 0;
    const names = [0, ...EDGES].map((edge, i) => i === 0 ? `< ${EDGES[0]}` : i === EDGES.length ? `${edge} +` : `${edge}–${EDGES[i]}`);
    $("legend").replaceChildren(...names.map((text, i) => Object.assign(document.createElement("li"), { className: `s${i}`, textContent: text })));
    const box = $("coloured"), at = (event) => { const i = event.target.dataset?.i; if (i !== undefined) this.point(+i); };
    box.addEventListener("pointerover", at);
    box.addEventListener("click", at);
    box.addEventListener("keydown", (event) => {
      const to = { ArrowRight: this.at + 1, ArrowLeft: this.at - 1, Home: 0, End: this.ids.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.point(Math.max(0, Math.min(this.ids.length - 1, to)), true);
    });
  }

  // nats (N,) of each character, NaN for the first and for unknown ones, which are not read; and what was expected.
  async read(text) {
    const turn = ++this.turn, all = vocabulary.encode(text), ids = this.ids = all.slice(0, LONGEST), { network } = this;
    this.nats = new Float64Array(ids.length).fill(NaN);
    this.expected = new Int32Array(ids.length * LIKELIEST).fill(-1);
    this.chances = new Float64Array(ids.length * LIKELIEST);
    network.reset();
    let read = 0, sum = 0, right = 0;
    for (let i = 0, end = 0; i < ids.length; i++) {
      if (performance.now() > end) {
        if (i) $("read-status").textContent = `Read ${count(i)} of ${count(ids.length)} …`;
        await pause();
        if (turn !== this.turn) return;
        end = performance.now() + SLICE;
      }
      if (ids[i] < 0) continue;
      if (read++) {
        const p = network.probabilities();
        this.likeliest(p, i * LIKELIEST);
        sum += this.nats[i] = -Math.log(p[ids[i]] || Number.MIN_VALUE);
        right += this.expected[i * LIKELIEST] === ids[i];
      }
      network.step(ids[i]);
    }
    const n = read - 1;
    $("found").hidden = n < 1;
    if (n < 1) { $("read-status").textContent = `Give it two ${vocabulary.noun} at least that the model knows.${unknownIn(ids)}`; return; }
    const part = all.length > ids.length ? `The first ${count(ids.length)} of ${count(all.length)} ${vocabulary.noun}` : `${count(ids.length)} ${vocabulary.noun}`;
    this.mean = sum / n;
    $("nats").textContent = this.mean.toFixed(3);
    $("bits").textContent = (this.mean / Math.LN2).toFixed(3);
    $("right").textContent = `${(100 * right / n).toFixed(1)} %`;
    $("read-status").textContent = `${part}: ${$("bits").textContent} bits each on average; if all were equally likely, ${Math.log2(network.K).toFixed(2)}.${unknownIn(ids)}`;
    this.colour(text.replace(/\r\n?/g, "\n"));
  }

  // The most probable ids and their probabilities into `expected` and `chances` from this place on.
  likeliest(p, place) {
    const { expected, chances } = this, most = Math.min(LIKELIEST, p.length);
    for (let k = 0, filled = 0; k < p.length; k++) {
      if (filled === most && p[k] <= chances[place + most - 1]) continue;
      let at = filled < most ? filled++ : most - 1;
      for (; at > 0 && chances[place + at - 1] < p[k]; at--) {
        chances[place + at] = chances[place + at - 1];
        expected[place + at] = expected[place + at - 1];
      }
      chances[place + at] = p[k];
      expected[place + at] = k;
    }
  }

  // The text as it was given, an element for each character; of unknown ones too.
  colour(text) {
    this.texts = vocabulary.raw ? Array.from(new TextEncoder().encode(text), (b) => String.fromCharCode(b)) : Array.from(text);
    const line = () => document.createElement("div"), lines = [line()];
    for (let i = 0; i < this.ids.length; i++) {
      const k = this.ids[i], sign = vocabulary.signs[k], span = document.createElement("span");
      span.dataset.i = i;
      span.className = k < 0 ? "unknown" : `s${this.level(i)}${sign ? " sign" : ""}`;
      span.textContent = sign ?? this.texts[i];
      lines.at(-1).append(span);
      if (this.texts[i] === "\n" && i < this.ids.length - 1) lines.push(line());
    }
    $("coloured").replaceChildren(...lines);
    this.spans = $("coloured").querySelectorAll("span");
    this.at = -1;
    $("detail").textContent = "\u00a0";
  }

  level(i) {
    const bits = this.nats[i] / Math.LN2;
    return EDGES.reduce((level, edge) => level + (bits >= edge), 0);
  }

  name(i) { return this.ids[i] < 0 ? this.texts[i] : vocabulary.names[this.ids[i]]; }

  // Mark a character and say what was expected there.
  point(i, scroll = false) {
    this.spans[this.at]?.classList.remove("here");
    this.at = i;
    this.spans[i].classList.add("here");
    if (scroll) this.spans[i].scrollIntoView({ block: "nearest" });
    const share = (p) => p < 0.001 ? "< 0.1 %" : `${(100 * p).toFixed(p < 0.0995 ? 1 : 0)} %`;
    const before = Array.from({ length: Math.min(i, BEFORE) }, (_, j) => this.texts[i - Math.min(i, BEFORE) + j]).join("").replace(/\s/g, " ");
    const what = document.createElement("b");
    what.textContent = `“${this.name(i)}”`;
    if (Number.isNaN(this.nats[i])) {
      $("detail").replaceChildren(what, this.ids[i] < 0 ? " is not in the model's vocabulary." : " is the first: nothing foretells it.");
      return;
    }
    const expected = Array.from({ length: LIKELIEST }, (_, j) => i * LIKELIEST + j).filter((j) => this.expected[j] >= 0)
      .map((j) => Object.assign(document.createElement("span"), { textContent: `${vocabulary.names[this.expected[j]]}  ${share(this.chances[j])}` }));
    $("detail").replaceChildren(what, ` after “${before}”: ${(this.nats[i] / Math.LN2).toFixed(1)} bits, ${share(Math.exp(-this.nats[i]))}.`,
      document.createElement("br"), "Expected: ", ...expected);
  }
}
