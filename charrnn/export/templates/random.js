"use strict";
// Which character comes: charrnn's rules, and NumPy's random numbers, so that a seed gives the text that it gives in charrnn (but for
// rounding, which now and then decides between two characters).

// Numbers in [0, 1) as numpy.random.Generator(numpy.random.PCG64(seed)).random() draws them; seed is a BigInt of at least 0.
function pcg64(seed) {
  const MASK = (1n << 128n) - 1n, FACTOR = 0x2360ed051fc65da44385df649fccf645n, u32 = (x) => x >>> 0;
  // numpy.random.SeedSequence: the seed's words, mixed into a pool of four, and eight words from it
  const words = [];
  for (let rest = seed; rest > 0n || !words.length; rest >>= 32n) words.push(Number(rest & 0xffffffffn));
  let constant = 0x43b0d7e5;
  const hash = (x) => {
    x ^= constant; constant = u32(Math.imul(constant, 0x931e8875));
    x = u32(Math.imul(x, constant)); return u32(x ^ x >>> 16);
  };
  const mix = (x, y) => { const z = u32(Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715)); return u32(z ^ z >>> 16); };
  const pool = [0, 1, 2, 3].map((i) => hash(words[i] ?? 0));
  for (let from = 0; from < 4; from++) for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  for (const word of words.slice(4)) for (let to = 0; to < 4; to++) pool[to] = mix(pool[to], hash(word));
  constant = 0x8b51f9dd;
  const made = Array.from({ length: 8 }, (_, i) => {
    let x = u32(pool[i & 3] ^ constant);
    constant = u32(Math.imul(constant, 0x58f38ded)); x = u32(Math.imul(x, constant)); return BigInt(u32(x ^ x >>> 16));
  });
  const [a, b, c, d] = [0, 2, 4, 6].map((i) => made[i + 1] << 32n | made[i]);
  const increment = (c << 64n | d) << 1n & MASK | 1n;
  let state = ((increment + (a << 64n | b)) * FACTOR + increment) & MASK;
  return () => {
    state = (state * FACTOR + increment) & MASK;
    const mixed = (state >> 64n ^ state) & (1n << 64n) - 1n, turn = state >> 122n;
    return Number((mixed >> turn | mixed << 64n - turn & (1n << 64n) - 1n) >> 11n) * 2 ** -53;
  };
}

// Draws ids from logits (K,) by rules {temperature, topK, topP, minP}, applied in this order; 0, 1 and 0 switch the last three off.
class Chooser {
  constructor(K) {
    this.p = new Float64Array(K);
    this.kept = new Uint8Array(K);
    this.order = new Uint32Array(K);
  }

  choose(logits, rules, uniform) {
    const { p, kept, order } = this, K = p.length;
    let best = 0, sum = 0;
    for (let k = 1; k < K; k++) if (logits[k] > logits[best]) best = k;
    if (rules.temperature < 1e-9) return best;
    for (let k = 0; k < K; k++) p[k] = Math.exp((logits[k] - logits[best]) / rules.temperature);
    if (rules.topK || rules.topP < 1) {
      for (let k = 0; k < K; k++) order[k] = k;
      order.sort((i, j) => p[j] - p[i] || i - j);
      const most = rules.topK ? Math.min(rules.topK, K) : K;
      for (let i = 0; i < most; i++) sum += p[order[i]];
      kept.fill(0);
      for (let i = 0, before = 0; i < most && (i === 0 || before < rules.topP * sum); i++) { kept[order[i]] = 1; before += p[order[i]]; }
    } else kept.fill(1);
    sum = 0;
    for (let k = 0; k < K; k++) sum += p[k] = kept[k] && p[k] >= rules.minP ? p[k] : 0;
    let last = best;
    for (let k = 0, before = 0; k < K; k++) if (p[k]) { last = k; before += p[k]; if (before > uniform * sum) return k; }
    return last;
  }
}
