/* gru.h: the gated recurrent unit, charrnn/network/cells/gru.py compiled. */
#pragma once
#include "../elementary.h"

namespace {
struct GRU {
    static constexpr const char *name = "gru";
    static constexpr int gates = 3, states = 1;
    static constexpr bool apart = true;

    /* r = sigmoid(a_r)   z = sigmoid(a_z)   n = tanh(a_n + r q)   h = (1 - z) k n + z h' */
    template <class T, class Kept> static void forward(T *a, index_t ld, const T *before, T *after, index_t, index_t n, Kept kept) {
        T *__restrict r = a, *__restrict z = a + ld, *__restrict c = a + 2 * ld, *__restrict q = a + 3 * ld, *__restrict h = after;
        INDEPENDENT for (index_t i = 0; i < n; i++) r[i] = sigmoid1(r[i]);
        INDEPENDENT for (index_t i = 0; i < n; i++) z[i] = sigmoid1(z[i]);
        INDEPENDENT for (index_t i = 0; i < n; i++) c[i] = tanh1(mul_add(r[i], q[i], c[i]));
        INDEPENDENT for (index_t i = 0; i < n; i++) {
            const T written = kept[i] * c[i];
            h[i] = mul_add(z[i], before[i] - written, written);
        }
    }

    /* da_n = dh (1 - z) k (1 - n^2)   da_z = dh (h' - k n) z (1 - z)   da_r = da_n q r (1 - r)   dq = da_n r   dh' += dh z */
    template <class T, class Kept>
    static void backward(T *a, index_t ld, const T *before, const T *, index_t, const T *d_after, T *d_before, T *, index_t n, Kept kept) {
        T *__restrict r = a, *__restrict z = a + ld, *__restrict c = a + 2 * ld, *__restrict q = a + 3 * ld, *__restrict dh_before = d_before;
        const T *__restrict dh = d_after;
        INDEPENDENT for (index_t i = 0; i < n; i++) {
            const T ri = r[i], zi = z[i], ci = c[i], da = dh[i] * (1 - zi) * kept[i] * mul_add(-ci, ci, (T)1);
            z[i] = dh[i] * (before[i] - kept[i] * ci) * (zi * (1 - zi));
            r[i] = da * q[i] * (ri * (1 - ri));
            q[i] = da * ri;
            c[i] = da;
            dh_before[i] = mul_add(dh[i], zi, dh_before[i]);
        }
    }
};
} // namespace
