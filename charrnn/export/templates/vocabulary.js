"use strict";
// The vocabulary: texts to ids and back.
class Vocabulary {
  constructor({ vocabulary, signs }) {
    this.raw = vocabulary.raw_bytes;
    this.characters = Array.from(vocabulary.characters);
    this.noun = this.raw ? "bytes" : "characters";
    this.ids = new Map(this.characters.map((c, k) => [this.raw ? c.codePointAt(0) : c, k]));
    this.names = this.characters.map((c, k) => signs[k] ?? (c === " " ? "␣" : /^\p{M}/u.test(c) ? "◌" + c : c));  // of one that stands alone
    this.signs = signs;  // of those that nobody would see, by id
  }

  // The ids of a text, -1 for what is not in the vocabulary. Bytes are those of UTF-8; line ends are read as LF.
  encode(text) {
    text = text.replace(/\r\n?/g, "\n");
    return Int32Array.from(this.raw ? new TextEncoder().encode(text) : Array.from(text), (c) => this.ids.get(c) ?? -1);
  }

  // A function from ids to their text, for one passage: bytes of a character may come one by one.
  decoder() {
    if (!this.raw) return (ids) => ids.map((k) => this.characters[k]).join("");
    const utf8 = new TextDecoder();
    return (ids) => utf8.decode(Uint8Array.from(ids, (k) => this.characters[k].codePointAt(0)), { stream: true });
  }
}

// How many of the ids are unknown, for a message.
function unknownIn(ids) {
  const n = ids.reduce((sum, k) => sum + (k < 0), 0);
  return n ? ` ${count(n)} ${n === 1 ? vocabulary.noun.slice(0, -1) : vocabulary.noun} that the model does not know ${n === 1 ? "is" : "are"} left out.` : "";
}
