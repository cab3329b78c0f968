import numpy as np, random

class Net:
  def __init__(self, n, m):
    self.n=n; self.m=m
    self.weights={'U':np.random.normal(0,.1,(m,n)),'W':np.random.normal(0,.1,(m,m)),'V':np.random.normal(0,.1,(n,m)),'b':np.zeros((m,1)),'c':np.zeros((n,1))}
    self.eta=.05
    self.state=np.zeros((m,1))
  def probs(self, xs):
    w=self.weights; h=self.state; out=[]
    for x in xs:
      h=np.tanh(w['W']@h+w['U'][:,[x]]+w['b'])
      e=np.exp(w['V']@h+w['c']); out.append((h,e/e.sum()))
    return out
  def loss(self, xs, ys):
    return sum(-np.log(p[y,0]) for (h,p),y in zip(self.probs(xs),ys))
  def update(self, xs, ys):
    w=self.weights
    out=self.probs(xs)
    hs=[self.state]+[h for h,_ in out]
    g={k:0*v for k,v in w.items()}
    nxt=0*self.state
    for t in reversed(range(len(xs))):
      e=out[t][1].copy(); e[ys[t]]-=1
      g['V']+=e@hs[t+1].T; g['c']+=e
      da=(1-hs[t+1]**2)*(w['V'].T@e+nxt)
      g['U'][:,[xs[t]]]+=da; g['W']+=da@hs[t].T; g['b']+=da
      nxt=w['W'].T@da
    g['V']/=len(xs)
    for k in w: w[k]=w[k]-self.eta*g[k]
