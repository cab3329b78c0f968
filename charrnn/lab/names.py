"""What people call things: the names of parameters, gradients, texts, states and sizes. Names propose; shapes and trials decide."""

from __future__ import annotations

import functools
import re

PARAMETERS = {
    "U": "u wxh wx wax wih win weightih weightihl0 rnnweightihl0 wi wxhidden i2h wi2h inputtohidden inputweights weightsu uw weightu "
    "wxa whx wgtsin embed embedding wembed winput inputw wxtoh syn0 inpwgts inwgts inputweight win2hid wxs inputkernel kernel",
    "W": "w whh wh waa wrec weighthh weighthhl0 rnnweighthhl0 wr whidden h2h wh2h hiddentohidden recurrentweights weightsw weightw wss "
    "hiddenwgts recur wrecurrent recweights whtoh synh recurrentkernel recurrentweight wa hiddenweights uh wprev ws",
    "V": "v why wy wya who wout weightho headweight wo fcweight outweight h2o wh2o hiddentooutput outputweights weightsv weightv wvocab "
    "wyh wp project wprob wsoftmax wout2 outwgts syn1 wyfromh outputweight wlogits woh wq wdecoder proj projection decoder wht wsy",
    "b": "b bh ba bhh biasih biasihl0 rnnbiasihl0 biash bhidden b1 bi hiddenbias biashidden bx bxh biasb hbias bz bs bhid biashid hbiases "
    "biashiddens bbias bwxh br bw",
    "c": "c by bo bout biaso headbias fcbias biasy outbias boutput b2 bya outputbias biasout bvocab biasc bp bq bhy biasoutput ybias by0 "
    "obias bdecoder bv blogits",
}
CANONICAL = {alias: name for name, aliases in PARAMETERS.items() for alias in aliases.split()}
BEFORE = ("dld", "dldl", "dl", "djd", "dj", "delta", "gradof", "gradient", "gradients", "grads", "grad", "partial", "nabla", "d", "g", "up")
AFTER = ("gradients", "gradient", "grads", "grad", "delta", "bar", "d", "g")
MEMORIES = ("m", "v", "mem", "memory", "sum", "cache", "adagrad", "mom", "momentum", "vel", "s", "gradsq", "sq", "acc")

ROLES = {  # what an argument is for; tried in this order
    "rate": r"lr|learning_?rate|learn_?rate|eta|rate|alpha|step_?size|lrate|lambda_?rate",
    "dlogits": r"d_?(y|o|out|outs|output|outputs|logits?|scores?|z|ys)|dl_?d_?(y|o|out|logits?|z)|d_?l_?d_?(y|o)"
    r"|grad_?(out|output|logits?|y|o)"
    r"|upstream|d_?loss|dout|error_?signal",
    "dhidden": r"d_?(h|a|hs|hidden|states?|h_?out|hiddens)|dl_?d_?h|grad_?(h|hs|hidden)",
    "grads": r"d?grads?|gradients?|gradbuffer|grad_?dict|gs",
    "params": r"params?|parameters?|theta|p|w|weights|wts|net|network|model|rnn|nn|mdl|th|self_|prm|pars|cell|lm|rnn_?params"
    r"|values|coeffs?",
    "pair": r"(mini_?)?batch|examples?|sample|pairs?|xy|data_?point|item",
    "inputs": r"inputs?|x|xs|in|ids|idx|seq|seqs|sequence|tokens?|symbols?|words?|text|sentence|sequences|source|src|chars?|observations"
    r"|(x|input|in|inp|source|src|captions|current|prompt)_?(ids?|idx|seq|sequence|batch|in|data|train|chunk|one_?hot|list|t|s"
    r"|tokens|indices|symbols"
    r"|vec|oh|onehot|chars|mat|matrix|list|indices|b|words)|(ids?|idx|seq|batch|tokens|chars|words|data)_?(x|in|input"
    r"|inputs)|x\d?|context|stream|one_?hots?|data|chunk",
    "targets": r"targets?|y|ys|labels?|tgts?|gold|t|expected|correct|desired|answers?|truth|y_?true|next_?\w*|outputs?_?true"
    r"|(y|target|label|out|output|tgt|captions|true|des|shifted)_?(ids?|idx|seq|sequence|batch|out|data|train|chunk|one_?hot"
    r"|list|t|s|true|labels|tokens|indices"
    r"|symbols|vec|oh|onehot|chars|targets|mat|matrix|words|b)|(ids?|idx|seq|batch|tokens|chars|data)_?(y|out|target"
    r"|targets)|tlist|labs?|following",
    "cell": r"c_?prev|c_?0|cell_?state|prev_?c|c_?init|c_?old|s_?prev|init_?c|c_?state|cell|c_?start",
    "state": r"h_?prev|h_?0|a_?prev|a_?0|state|h_?init|hidden|h|h_?start|initial_?\w*|init_?\w*|prev_?\w*|hidden_?\w*|s_?0"
    r"|h_?zero|start_?\w*"
    r"|last_?h\w*|carry|memory|h_?last|h_?old|h_?t|z_?0|h_?in|hs_?prev|previous\w*|s_?prev|context_?h",
    "mask": r"masks?|weights?_?mask",
}
SIZES = {
    "K": r"(vocab|vocabulary|input|output|in|out|word|alphabet|char|chars|symbol|symbols|voc|class|data|x|y)_?(size|dim|dims"
    r"|count|n|num|len|length|nodes|units|dimension)"
    r"|(n|num|size|dim|number_?of|len|d|no_?of)_?(vocab|vocabulary|in|inputs?|out|outputs?|x|y|chars?|symbols?|words?|classes"
    r"|letters|v|tokens|features|k|uniq|unique|voc)"
    r"|k|v|vocab|nvoc|vs|d|D_?in|D_?out|alphabet|nin|nout|vocab_?len|n",
    "m": r"(hidden|hid|state|h|a|recurrent|rnn|lstm|gru|layer)_?(size|dim|dims|count|n|num|len|units|nodes|neurons|dimension|layer_?size)"
    r"|(n|num|size|dim|number_?of|d|no_?of)_?(hidden|hid|h|a|units|state|states|m|neurons|nodes|s|hiddens|hidden_?units|cells|rec)"
    r"|m|h|hid|units|hidden|neurons|hidden_?units|hidden_?nodes|nh|width|hsize|cells",
    "T": r"(seq|sequence|time|bptt|window|chunk|unroll)_?(length|len|size|steps|truncate_?len|n)|t|tau|seqlen|n_?steps"
    r"|num_?steps|steps|timesteps"
    r"|time_?steps|max_?len|maxlen|t_?x|n_?t|len_?seq|length|unrollings?|block_?size",
    "B": r"(batch|mini_?batch|mb)_?(size|n|dim|count)|b|n_?batch|batch|bs|num_?batches|n_?seqs|lanes|batch_?len",
}
_ROLE = {role: re.compile(rf"(?:{pattern})", re.IGNORECASE) for role, pattern in ROLES.items()}
_SIZE = {size: re.compile(rf"(?:{pattern})", re.IGNORECASE) for size, pattern in SIZES.items()}


def plain(name: object) -> str:
    """A name's letters and digits, in lower case.

    >>> plain("grad_W_xh")
    'gradwxh'
    """
    return "".join(ch for ch in str(name).lower() if ch.isalnum())


@functools.lru_cache(1000)
def canonical_name(key: object) -> str | None:
    """U, W, V, b or c for a name that people give to it or to its gradient.

    >>> [canonical_name(key) for key in ("Wxh", "dWhh", "weight_hh_l0", "grad_b", "dL_dV", "U_grad", "x")]
    ['U', 'W', 'W', 'b', 'V', 'U', None]
    """
    if not isinstance(key, str):
        return None
    word = plain(key)
    if word in CANONICAL:
        return CANONICAL[word]
    for prefix in BEFORE:
        if word.startswith(prefix) and word[len(prefix) :] in CANONICAL:
            return CANONICAL[word[len(prefix) :]]
    for suffix in AFTER:
        if word.endswith(suffix) and word[: -len(suffix)] in CANONICAL:
            return CANONICAL[word[: -len(suffix)]]
    return None


def is_gradient_of(key: object, name: str) -> int:
    """How surely `key` names the gradient of the parameter called `name`: 3 with a d or grad to it, 2 for the same name, 0 if not.

    >>> is_gradient_of("dWxh", "Wxh"), is_gradient_of("Wxh", "Wxh"), is_gradient_of("dWhh", "Wxh")
    (3, 2, 0)
    """
    word, own = plain(key), plain(name)
    if word == own:
        return 2
    return 3 if word in {prefix + own for prefix in BEFORE} | {own + suffix for suffix in AFTER} else 0


def is_copy_of(key: str, name: str) -> bool:
    """Whether an array `key` next to `name` is its gradient or an optimiser's memory of it."""
    word, own = plain(key), plain(name)
    return word != own and (
        is_gradient_of(key, name) == 3
        or word in {prefix + own for prefix in MEMORIES} | {own + suffix for suffix in MEMORIES if len(suffix) > 1}
    )


def role(name: str) -> str | None:
    """What an argument of this name is for: params, inputs, targets, state, cell, rate, dlogits, grads or mask; None if unknown.

    >>> [role(name) for name in ("hprev", "x_seq", "labels", "learning_rate", "cache")]
    ['state', 'inputs', 'targets', 'rate', None]
    """
    word = name.strip("_")
    return next((role for role, pattern in _ROLE.items() if pattern.fullmatch(word)), None)


def size(name: str) -> str | None:
    """m, K, T or B, if a whole number of this name is one of these sizes.

    >>> [size(name) for name in ("hidden_size", "vocab_size", "seq_length", "batch_size", "epochs")]
    ['m', 'K', 'T', 'B', None]
    """
    word = name.strip("_")
    return next((size for size, pattern in _SIZE.items() if pattern.fullmatch(word)), None)
