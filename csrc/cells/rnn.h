/* rnn.h: the vanilla cell, charrnn/network/cells/rnn.py compiled. */
#pragma once
#include "../elementary.h"

namespace {
struct RNN {
    static constexpr const char *name = "rnn";
    static constexpr int gates = 1, states = 1;
    static constexpr bool apart = false;

    /* h = tanh(a) */
    template <class T, class Kept> static void forward(T *a, index_t, const T *, T *after, index_t, index_t n, Kept) {
        T *__restrict gate = a, *__restrict h = after;
        INDEPENDENT for (index_t i = 0; i < n; i++) h[i] = gate[i] = tanh1(gate[i]);
    }

    /* da = dh (1 - h^2) */
    template <class T, class Kept>
    static void backward(T *a, index_t, const T *, const T *after, index_t, const T *d_after, T *, T *, index_t n, Kept) {
        T *__restrict da = a;
        const T *__restrict h = after, *__restrict dh = d_after;
        INDEPENDENT for (index_t i = 0; i < n; i++) da[i] = dh[i] * mul_add(-h[i], h[i], (T)1);
    }
};
} // namespace
