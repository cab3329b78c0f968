"use strict";
// The text that the network writes: begun, stopped, gone on with, copied.

const BLOCK = 4000;  // characters that the browser lays out at once, while the text grows

class Writer {
  constructor() {
    this.network = new Network(about, weights);
    this.chooser = new Chooser(this.network.K);
    this.running = false;
    this.turn = 0;  // a later one ends those before
  }

  // Read the beginning, then write.
  async begin() {
    const turn = ++this.turn, given = vocabulary.encode($("beginning").value), known = given.filter((k) => k >= 0);
    const seed = $("seed").value.trim() || String(crypto.getRandomValues(new Uint32Array(1))[0]);
    Object.assign(this, { seed, random: pcg64(BigInt(seed)), decode: vocabulary.decoder(), text: "", total: 0 });
    this.note = `${unknownIn(given)} Seed ${seed}.`;
    this.prompt = vocabulary.decoder()(Array.from(known));
    $("written").replaceChildren(Object.assign(document.createElement("span"), { className: "given", textContent: this.prompt }));
    $("written").append(this.block = document.createElement("span"));
    $("written").hidden = false;
    this.show(true, "Reading the beginning …");
    this.ready = false;
    this.network.reset();
    for (let i = 0, end = 0, ids = known.length ? known : [about.start]; i < ids.length; i++) {
      if (performance.now() > end) { await pause(); end = performance.now() + SLICE; }
      if (turn !== this.turn) {
        if (!this.running) this.show(false, "Stopped.");
        return;
      }
      this.network.step(ids[i]);
    }
    this.ready = true;
    this.go(turn);
  }

  // Write as many characters as are asked for, from where the network is.
  async go(turn) {
    const rules = { temperature: +$("temperature").value, topK: +$("top-k").value, topP: +$("top-p").value, minP: +$("min-p").value };
    const length = +$("length").value, speed = +$("speed").value, began = performance.now();
    this.show(true, "Writing …");
    let done = 0, busy = 0;
    while (done < length) {
      const now = performance.now(), end = now + SLICE, ids = [];
      const allowed = speed ? Math.min(length, Math.ceil((now - began) * speed / 1000)) : length;
      while (done < allowed && performance.now() < end) {
        const k = this.chooser.choose(this.network.logits, rules, this.random());
        this.network.step(k);
        ids.push(k);
        done++;
      }
      busy += performance.now() - now;
      this.append(this.decode(ids));
      this.total += ids.length;
      await (speed ? frame() : pause());
      if (turn !== this.turn) break;
    }
    if (turn === this.turn || !this.running) {
      const pace = speed || busy < 50 ? "" : `, ${count(Math.round(done / busy * 1000))} a second`;
      this.show(false, `Wrote ${count(this.total)} ${vocabulary.noun}${pace}.${this.note}`);
    }
  }

  stopOrGoOn() {
    const turn = ++this.turn;
    if (this.running) this.running = false;
    else if (!this.ready) this.begin();
    else if ($("write").reportValidity()) this.go(turn);
  }

  // What was written so far grows by a text; from time to time, at a line end, in a new block.
  append(text) {
    if (!text) return;
    const box = $("written"), below = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    this.text += text;
    const cut = this.block.textLength > BLOCK ? text.indexOf("\n") : -1;
    if (cut >= 0) {
      this.block.append(text.slice(0, cut));
      text = text.slice(cut + 1);
      this.block = document.createElement("div");
      box.append(this.block);
    }
    this.block.append(text);
    this.block.textLength = (this.block.textLength ?? 0) + text.length;
    if (below) box.scrollTop = box.scrollHeight;
  }

  show(running, status) {
    this.running = running;
    $("stop").disabled = false;
    $("stop").textContent = running ? "Stop" : "Go on";
    $("copy").disabled = $("take").disabled = running && !this.total;
    $("written").setAttribute("aria-busy", running);
    $("write-status").textContent = status;
  }

  whole() { return this.prompt + this.text; }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.whole());
      $("write-status").textContent = "Copied.";
    } catch {  // a page from a file may not: select it for the keys that copy
      getSelection().selectAllChildren($("written"));
      $("write-status").textContent = document.execCommand("copy") ? "Copied." : "Selected: press Ctrl+C to copy.";
    }
  }
}
