"use strict";
// The network. A step reads one character: in each layer, for every gate g,
//
//     a_g = U_g x + W_g h + b_g        (h, c) = cell(a)        and on top        logits = V h + c
//
// with x one-hot in the first layer, so that U x is a row of numbers, and the h of the layer below in those above.
// Weights are float32, states and sums float64. Sizes are padded to multiples of 4 with weights of 0, so padded units stay 0.

// out += M x. Four rows of M lie interleaved: it is read from end to end, with four sums at a time.
function addProduct(out, M, x) {
  for (let i = 0, p = 0; i < out.length; i += 4) {
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (let j = 0; j < x.length; j += 2, p += 8) {
      const x0 = x[j], x1 = x[j + 1];
      s0 += M[p] * x0; s1 += M[p + 1] * x0; s2 += M[p + 2] * x0; s3 += M[p + 3] * x0;
      s0 += M[p + 4] * x1; s1 += M[p + 5] * x1; s2 += M[p + 6] * x1; s3 += M[p + 7] * x1;
    }
    out[i] += s0; out[i + 1] += s1; out[i + 2] += s2; out[i + 3] += s3;
  }
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// From the pre-activations a, a row for each gate, and the states before the step: the states after it, in place.
const CELLS = {
  rnn: { gates: 1, rows: 1, states: 1, step([a], [h]) {
    for (let i = 0; i < h.length; i++) h[i] = Math.tanh(a[i]);
  } },
  gru: { gates: 3, rows: 4, states: 1, step([r, z, n, q], [h]) {  // q = W_n h + b_hn, which the reset gate multiplies
    for (let i = 0; i < h.length; i++) {
      const next = Math.tanh(n[i] + sigmoid(r[i]) * q[i]);
      h[i] = next + sigmoid(z[i]) * (h[i] - next);
    }
  } },
  lstm: { gates: 4, rows: 4, states: 2, step([i, f, g, o], [h, c]) {
    for (let k = 0; k < h.length; k++) {
      c[k] = sigmoid(f[k]) * c[k] + sigmoid(i[k]) * Math.tanh(g[k]);
      h[k] = sigmoid(o[k]) * Math.tanh(c[k]);
    }
  } },
};

// Base64 as a Float32Array; float16 is decoded by hand, since not all browsers know it.
function decodeWeights(base64, float16) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  if (!float16) return new Float32Array(bytes.buffer);
  const halves = new Uint16Array(bytes.buffer), weights = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const exponent = halves[i] >> 10 & 31, fraction = halves[i] & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    weights[i] = halves[i] >> 15 ? -size : size;
  }
  return weights;
}

class Network {
  // about: what the page says of its model; weights: from decodeWeights. Several networks may share the weights.
  constructor(about, weights) {
    this.K = Array.from(about.vocabulary.characters).length;
    this.cell = CELLS[about.cell];
    const { gates, rows, states } = this.cell, up = (n) => n + 3 & ~3, m = up(about.hidden_size), K = up(this.K);
    let at = 0;
    const take = (size) => weights.subarray(at, at += size), several = (n, make) => Array.from({ length: n }, make);
    this.layers = several(about.layers, (_, layer) => {
      const a = new Float64Array(rows * m), row = (g) => a.subarray(g * m, (g + 1) * m);
      const U = layer ? several(gates, () => take(m * m)) : several(this.K, () => take(gates * m));
      const W = several(gates, () => take(m * m)), b = take(rows * m);
      const last = (g) => row(g === gates - 1 ? rows - 1 : g);  // of the GRU, the last gate's W stands apart
      return { U, W, b, a, rows: several(rows, (_, g) => row(g)), targets: several(gates, (_, g) => last(g)),
        states: several(states, () => new Float64Array(m)) };
    });
    this.V = take(K * m);
    this.c = take(K);
    if (at !== weights.length) throw new Error(`the weights should be ${at} numbers, found ${weights.length}`);
    this.padded = new Float64Array(K);
    this.logits = this.padded.subarray(0, this.K);  // of the next character, after each step
    this.p = new Float64Array(this.K);
  }

  // As before any text.
  reset() {
    for (const { states } of this.layers) for (const state of states) state.fill(0);
  }

  // Read the character with this id. Nothing is allocated here.
  step(id) {
    let below = null;
    for (let l = 0; l < this.layers.length; l++) {
      const { U, W, b, a, rows, targets, states } = this.layers[l];
      a.set(b);
      if (l === 0) for (let i = 0, u = U[id]; i < u.length; i++) a[i] += u[i];
      else for (let g = 0; g < U.length; g++) addProduct(rows[g], U[g], below);
      for (let g = 0; g < W.length; g++) addProduct(targets[g], W[g], states[0]);
      this.cell.step(rows, states);
      below = states[0];
    }
    this.padded.set(this.c);
    addProduct(this.padded, this.V, below);
  }

  // softmax(logits), (K,): of the next character. The array is the same at every call.
  probabilities() {
    const { logits, p, K } = this;
    let most = -Infinity, sum = 0;
    for (let k = 0; k < K; k++) if (logits[k] > most) most = logits[k];
    for (let k = 0; k < K; k++) sum += p[k] = Math.exp(logits[k] - most);
    for (let k = 0; k < K; k++) p[k] /= sum;
    return p;
  }
}
