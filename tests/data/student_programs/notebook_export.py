#!/usr/bin/env python
# coding: utf-8

# # RNN from scratch
# In[1]:
import numpy as np
get_ipython().run_line_magic('matplotlib', 'inline')

# In[2]:
with open('data/names.txt') as f:
    words = f.read().split('\n')
letters = sorted(set(''.join(words)))
print(len(words))

# In[3]:
HID = 32
params = dict(
    Wax=np.random.randn(HID, len(letters)),
    Waa=np.random.randn(HID, HID),
    Wya=np.random.randn(len(letters), HID),
    ba=np.zeros((HID, 1)),
    by=np.zeros((len(letters), 1)))

# In[4]:
def softmax(v):
    v = np.exp(v - np.max(v, axis=0))
    return v / v.sum(axis=0)

def rnn_forward(xs, a_prev, params):
    caches, y_hats = [], []
    a = a_prev
    for x in xs:
        a_next = np.tanh(params['Wax'] @ x + params['Waa'] @ a + params['ba'])
        y_hats.append(softmax(params['Wya'] @ a_next + params['by']))
        caches.append((x, a, a_next))
        a = a_next
    return y_hats, caches

def cross_entropy(y_hats, ys):
    return float(np.mean([-np.sum(y * np.log(p)) for p, y in zip(y_hats, ys)]))

def rnn_backward(y_hats, ys, caches, params):
    n = len(ys)
    grads = {'d' + k: np.zeros_like(v) for k, v in params.items()}
    da_next = np.zeros_like(caches[0][1])
    for (x, a, a_next), p, y in reversed(list(zip(caches, y_hats, ys))):
        dz = (p - y) / n
        grads['dWya'] += dz @ a_next.T
        grads['dby'] += dz
        dt = (1 - a_next ** 2) * (params['Wya'].T @ dz + da_next)
        grads['dWax'] += dt @ x.T
        grads['dWaa'] += dt @ a.T
        grads['dba'] += dt
        da_next = params['Waa'].T @ dt
    return grads

# In[5]:
for epoch in range(100):
    for w in words:
        xs = [np.eye(len(letters))[:, [letters.index(c)]] for c in w[:-1]]
        ys = [np.eye(len(letters))[:, [letters.index(c)]] for c in w[1:]]
        y_hats, caches = rnn_forward(xs, np.zeros((HID, 1)), params)
        g = rnn_backward(y_hats, ys, caches, params)
        for k in params:
            params[k] -= 0.01 * g['d' + k]

# In[6]:
get_ipython().system('ls')
