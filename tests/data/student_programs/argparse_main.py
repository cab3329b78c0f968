import argparse
import os
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument('--hidden', type=int, default=100)
parser.add_argument('--file', default='input.txt')
args = parser.parse_args()
if not os.path.exists(args.file):
    raise SystemExit('no such file: ' + args.file)
raw = open(args.file, 'rb').read()
lookup = sorted(set(raw))
V, H = len(lookup), args.hidden

model = {}
model['Wxh'] = np.random.randn(V, H) / np.sqrt(V)
model['Whh'] = np.random.randn(H, H) / np.sqrt(H)
model['Why'] = np.random.randn(H, V) / np.sqrt(H)
model['bh'] = np.zeros(H)
model['by'] = np.zeros(V)
gradbuffer = {k: np.zeros_like(v) for k, v in model.items()}


def process(xs, ys, h):
    """forward and backward over one chunk; fills gradbuffer"""
    hs, pr = {-1: h}, {}
    total = 0.
    for t, (i, j) in enumerate(zip(xs, ys)):
        hs[t] = np.tanh(model['Wxh'][i] + np.dot(hs[t-1], model['Whh']) + model['bh'])
        z = np.dot(hs[t], model['Why']) + model['by']
        z = np.exp(z - z.max())
        pr[t] = z / z.sum()
        total -= np.log(pr[t][j])
    for k in gradbuffer:
        gradbuffer[k] = np.zeros_like(model[k])
    down = np.zeros(model['Whh'].shape[0])
    for t in range(len(xs) - 1, -1, -1):
        dz = pr[t].copy()
        dz[ys[t]] -= 1
        gradbuffer['Why'] += np.outer(hs[t], dz)
        gradbuffer['by'] += dz
        da = (np.dot(model['Why'], dz) + down) * (1 - hs[t] ** 2)
        gradbuffer['Wxh'][xs[t]] += da
        gradbuffer['Whh'] += np.outer(hs[t-1], da)
        gradbuffer['bh'] += da
        down = np.dot(model['Whh'], da)
    return total / len(xs), hs[len(xs) - 1]


h = np.zeros(H)
while True:
    loss, h = process([lookup.index(b) for b in raw[:50]], [lookup.index(b) for b in raw[1:51]], h)
