import numpy as np
def sftmx(v): return np.exp(v)/sum(np.exp(v))
# params packed in a dict, see init
def init(nin, nhid, nout):
    return dict(inp_wgts=np.random.randn(nhid,nin)*.1, hidden_wgts=np.random.randn(nhid,nhid)*.1, out_wgts=np.random.randn(nout,nhid)*.1,
                hidden_bias=np.zeros((nhid,1)), out_bias=np.zeros((nout,1)))
def forwardProp(net, seq, hInit):
    hList=[hInit]; yList=[]
    for x in seq:
        hList.append(np.tanh(np.dot(net['inp_wgts'],x)+np.dot(net['hidden_wgts'],hList[-1])+net['hidden_bias']))
        yList.append(sftmx(np.dot(net['out_wgts'],hList[-1])+net['out_bias']))
    return hList,yList
def crossEntropy(yList, tList):
    return -sum(float(np.sum(t*np.log(y))) for y,t in zip(yList,tList))
def backProp(net, seq, tList, hList, yList):
    dInp=np.zeros_like(net['inp_wgts']); dHid=np.zeros_like(net['hidden_wgts']); dOut=np.zeros_like(net['out_wgts'])
    dHb=np.zeros_like(net['hidden_bias']); dOb=np.zeros_like(net['out_bias'])
    nxt=np.zeros_like(hList[0])
    for i in range(len(seq))[::-1]:
        e=yList[i]-tList[i]
        dOut+=np.dot(e,hList[i+1].T); dOb+=e
        d=(np.dot(net['out_wgts'].T,e)+nxt)*(1-hList[i+1]**2)
        dInp+=np.dot(d,seq[i].T); dHid+=np.dot(d,hList[i].T); dHb+=d
        nxt=np.dot(net['hidden_wgts'].T,d)
    return {'inp_wgts':dInp,'hidden_wgts':dHid,'out_wgts':dOut,'hidden_bias':dHb,'out_bias':dOb}
