/* optimisers.h: one step of each optimiser; formulas and sources: charrnn/network/optimisers.py. */
#pragma once
#include "vectors.h"

namespace {
struct Rule { /* keep: what weight decay leaves; rest1, rest2: 1 - beta1, 1 - beta2, subtracted in double; factor: of the gradient, where
                 its norm is clipped */
    int kind;
    double rate, root, keep, input_rate, factor, clip, clip_norm, eps, beta1, rest1, rest2;
};

template <class T> struct Constants { /* the same in vectors */
    Vec<T> factor, clip, lowest, rate, root, eps, beta1, rest1, rest2;
    explicit Constants(const Rule &r)
        : factor(of(r.factor)), clip(of(r.clip)), lowest(of(-r.clip)), rate(of(r.rate)), root(of(r.root)), eps(of(r.eps)),
          beta1(of(r.beta1)), rest1(of(r.rest1)), rest2(of(r.rest2)) {}
    static Vec<T> of(double x) { return Vec<T>::set((T)x); }
    /* A gradient that is not a number stays one. */
    INLINE Vec<T> clipped(Vec<T> g) const { return maximum(lowest, minimum(clip, g * factor)); }
};

/* One vector: p parameters, g their gradient, s and v the optimiser's state. */

/* s += g^2;  p -= rate g / sqrt(s + eps) */
template <class T> INLINE void adagrad(T *p, T *s, Vec<T> gradient, const Constants<T> &c) {
    const Vec<T> g = c.clipped(gradient), total = mul_add(g, g, Vec<T>::load(s));
    total.store(s);
    (Vec<T>::load(p) - c.rate * g / square_root(total + c.eps)).store(p);
}

/* s += (1 - beta1) (g - s);  v += (1 - beta2) (g^2 - v);  p -= rate s / (root sqrt(v) + eps) */
template <class T> INLINE void adam(T *p, T *s, T *v, Vec<T> gradient, const Constants<T> &c) {
    const Vec<T> g = c.clipped(gradient), first = Vec<T>::load(s), second = Vec<T>::load(v);
    const Vec<T> mean = mul_add(c.rest1, g - first, first), square = mul_add(c.rest2, g * g - second, second);
    mean.store(s);
    square.store(v);
    (Vec<T>::load(p) - c.rate * mean / mul_add(square_root(square), c.root, c.eps)).store(p);
}

/* v += (1 - beta2) (g^2 - v);  p -= rate g / (sqrt(v) + eps) */
template <class T> INLINE void rmsprop(T *p, T *v, Vec<T> gradient, const Constants<T> &c) {
    const Vec<T> g = c.clipped(gradient), second = Vec<T>::load(v), square = mul_add(c.rest2, g * g - second, second);
    square.store(v);
    (Vec<T>::load(p) - c.rate * g / (square_root(square) + c.eps)).store(p);
}

/* s = beta1 s + g;  p -= rate s */
template <class T> INLINE void sgd(T *p, T *s, Vec<T> gradient, const Constants<T> &c) {
    const Vec<T> velocity = mul_add(c.beta1, Vec<T>::load(s), c.clipped(gradient));
    velocity.store(s);
    (Vec<T>::load(p) - c.rate * velocity).store(p);
}

/* p *= keep, in rows of n elements, ld apart: decoupled weight decay */
template <class T> void decay_rows(T *p, index_t ld, index_t rows, index_t n, const Rule *rule) {
    const Vec<T> keep = Vec<T>::set((T)rule->keep);
    for (index_t r = 0; r < rows; r++)
        for (index_t i = r * ld; i < r * ld + n; i += VLEN<T>) (keep * Vec<T>::load(p + i)).store(p + i);
}

/* Rows of n elements, ld apart, as those of their gradient are. v: used by Adam alone */
template <class T>
void optimiser_step(T *p, T *s, T *v, const T *g, index_t ld, index_t rows, index_t n, const Rule *rule) {
    const Constants<T> c(*rule);
    for (index_t r = 0; r < rows; r++) {
        for (index_t i = r * ld; i < r * ld + n; i += VLEN<T>) {
            const Vec<T> gradient = Vec<T>::load(g + i);
            switch (rule->kind) { /* as in optimisers.OPTIMIZERS */
            case 0: adagrad(p + i, s + i, gradient, c); break;
            case 1: adam(p + i, s + i, v + i, gradient, c); break;
            case 2: rmsprop(p + i, s + i, gradient, c); break;
            default: sgd(p + i, s + i, gradient, c);
            }
        }
    }
}
} // namespace
