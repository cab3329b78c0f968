/* lstm.h: long short-term memory, charrnn/network/cells/lstm.py compiled. */
#pragma once
#include "../elementary.h"

namespace {
struct LSTM {
    static constexpr const char *name = "lstm";
    static constexpr int gates = 4, states = 2;
    static constexpr bool apart = false;

    /* i, f, o = sigmoid(a)   g = tanh(a_g)   c = f c' + i k g   h = o tanh(c) */
    template <class T, class Kept> static void forward(T *a, index_t ld, const T *before, T *after, index_t stride, index_t n, Kept kept) {
        T *__restrict in = a, *__restrict forget = a + ld, *__restrict g = a + 2 * ld, *__restrict out = a + 3 * ld;
        T *__restrict h = after, *__restrict c = after + stride;
        const T *__restrict c_before = before + stride;
        INDEPENDENT for (index_t i = 0; i < n; i++) in[i] = sigmoid1(in[i]);
        INDEPENDENT for (index_t i = 0; i < n; i++) forget[i] = sigmoid1(forget[i]);
        INDEPENDENT for (index_t i = 0; i < n; i++) g[i] = tanh1(g[i]);
        INDEPENDENT for (index_t i = 0; i < n; i++) out[i] = sigmoid1(out[i]);
        INDEPENDENT for (index_t i = 0; i < n; i++) c[i] = mul_add(forget[i], c_before[i], in[i] * (kept[i] * g[i]));
        INDEPENDENT for (index_t i = 0; i < n; i++) h[i] = out[i] * tanh1(c[i]);
    }

    /* dc += dh o (1 - tanh^2 c)   da_o = dh tanh(c) o (1 - o)   da_i = dc k g i (1 - i)   da_f = dc c' f (1 - f)
     * da_g = dc i k (1 - g^2)   dc' = dc f */
    template <class T, class Kept>
    static void backward(T *a, index_t ld, const T *before, const T *after, index_t stride, const T *d_after, T *, T *d_cell, index_t n,
                         Kept kept) {
        T *__restrict in = a, *__restrict forget = a + ld, *__restrict g = a + 2 * ld, *__restrict out = a + 3 * ld, *__restrict dc = d_cell;
        const T *__restrict c_before = before + stride, *__restrict c = after + stride, *__restrict dh = d_after;
        INDEPENDENT for (index_t i = 0; i < n; i++) {
            const T o = out[i], tanh_c = tanh1(c[i]);
            dc[i] = mul_add(dh[i] * o, mul_add(-tanh_c, tanh_c, (T)1), dc[i]);
            out[i] = dh[i] * tanh_c * (o * (1 - o));
        }
        INDEPENDENT for (index_t i = 0; i < n; i++) {
            const T d = dc[i], ii = in[i], f = forget[i], gi = g[i];
            in[i] = d * (kept[i] * gi) * (ii * (1 - ii));
            g[i] = d * ii * kept[i] * mul_add(-gi, gi, (T)1);
            forget[i] = d * c_before[i] * (f * (1 - f));
            dc[i] = d * f;
        }
    }
};
} // namespace
