"""Trains forever on input.txt; stop it with Ctrl-C."""
import numpy as np

corpus = open('input.txt').read()
symbols = list(set(corpus))
vocab_size = len(symbols)
print(f'{len(corpus)} characters, {vocab_size} different ones')
to_ix = {s: i for i, s in enumerate(symbols)}
to_ch = dict(enumerate(symbols))

hidden_size, seq_length, rate = 100, 25, 0.1

Wxh = 0.01 * np.random.randn(hidden_size, vocab_size)
Whh = 0.01 * np.random.randn(hidden_size, hidden_size)
Why = 0.01 * np.random.randn(vocab_size, hidden_size)
bh, by = np.zeros((hidden_size, 1)), np.zeros((vocab_size, 1))


def lossFun(inputs, targets, hprev):
    xs, hs, ps = {}, {-1: hprev.copy()}, {}
    loss = 0
    n = len(inputs)
    # left to right
    for t in range(n):
        xs[t] = np.zeros((vocab_size, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        score = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(score) / np.exp(score).sum()
        loss -= np.log(ps[t][targets[t], 0])
    # and back
    dWxh, dWhh, dWhy, dbh, dby = [np.zeros_like(w) for w in (Wxh, Whh, Why, bh, by)]
    later = np.zeros_like(bh)
    for t in range(n - 1, -1, -1):
        dy = ps[t].copy()
        dy[targets[t]] -= 1
        dWhy += np.dot(dy, hs[t].T)
        dby += dy
        draw = (np.dot(Why.T, dy) + later) * (1 - hs[t] * hs[t])
        dbh += draw
        dWxh += np.dot(draw, xs[t].T)
        dWhh += np.dot(draw, hs[t - 1].T)
        later = np.dot(Whh.T, draw)
    for g in (dWxh, dWhh, dWhy, dbh, dby):
        np.clip(g, -5, 5, out=g)
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[n - 1]


memory = [np.zeros_like(w) for w in (Wxh, Whh, Why, bh, by)]
place, smooth = 0, None
while True:
    if place + seq_length >= len(corpus) or smooth is None:
        place, hprev = 0, np.zeros((hidden_size, 1))
    inputs = [to_ix[s] for s in corpus[place:place + seq_length]]
    targets = [to_ix[s] for s in corpus[place + 1:place + seq_length + 1]]
    loss, *grads, hprev = lossFun(inputs, targets, hprev)
    smooth = loss if smooth is None else .999 * smooth + .001 * loss
    for w, g, m in zip((Wxh, Whh, Why, bh, by), grads, memory):
        m += g * g
        w -= rate * g / np.sqrt(m + 1e-8)
    place += seq_length
    print(smooth)
