/* cells.h: the cells that are compiled, a line each. What a cell is: charrnn/network/cells/cell.py.
 *
 * A cell computes one step of one lane, for n units: its rows of pre-activations a, `ld` elements from each other, become gates, and
 * going back, the derivatives by the pre-activations. before and after: the states; the next of them `stride` elements on.
 * d_after: dL/dh. d_before: what goes back to h' not through W is added to it. d_cell: dL/d(the second state), before and after.
 * kept: what recurrent dropout leaves of the candidate, k. Padding stays 0 in states and derivatives. */
#pragma once
#include "../dropout.h"
#include "gru.h"
#include "lstm.h"
#include "rnn.h"
#include <algorithm>

namespace {
template <class T> struct All { /* nothing is dropped: the factor is gone when it is compiled */
    constexpr T operator[](index_t) const { return 1; }
};

template <class T> struct Cell {
    const char *name;
    int gates, states;
    bool apart;
    void (*forward)(T *a, index_t ld, const T *before, T *after, index_t stride, index_t n, All<T> kept);
    void (*backward)(T *a, index_t ld, const T *before, const T *after, index_t stride, const T *d_after, T *d_before, T *d_cell, index_t n,
                     All<T> kept);
    void (*forward_dropped)(T *a, index_t ld, const T *before, T *after, index_t stride, index_t n, const T *kept);
    void (*backward_dropped)(T *a, index_t ld, const T *before, const T *after, index_t stride, const T *d_after, T *d_before, T *d_cell,
                             index_t n, const T *kept);
};

template <class T, class C> constexpr Cell<T> cell_of() {
    return {C::name,
            C::gates,
            C::states,
            C::apart,
            C::template forward<T, All<T>>,
            C::template backward<T, All<T>>,
            C::template forward<T, const T *>,
            C::template backward<T, const T *>};
}

template <class T>
constexpr Cell<T> CELL_TABLE[] = {
    cell_of<T, RNN>(),
    cell_of<T, GRU>(),
    cell_of<T, LSTM>(),
};
constexpr int CELL_COUNT = sizeof CELL_TABLE<float> / sizeof CELL_TABLE<float>[0];
constexpr index_t DRAWN_AT_ONCE = 256; /* units whose factors stand on the stack */

/* These facts are the same for both types. */
inline const Cell<float> *cell_facts(int cell) { return &CELL_TABLE<float>[cell]; }

/* Recurrent dropout, drawn for (number, t, lane) and the n units from `first` on: step(i, some, kept) for some units from the i-th. */
template <class T, class Step> void with_kept(index_t n, const Dropout *drop, int number, index_t t, index_t lane, index_t first, Step step) {
    for (index_t i = 0; i < n; i += DRAWN_AT_ONCE) {
        const index_t some = std::min(DRAWN_AT_ONCE, n - i);
        T kept[DRAWN_AT_ONCE];
        std::fill(kept, kept + some, (T)1);
        drop_row(kept, kept, drop, number, t, lane, first + i, some);
        step(i, some, kept);
    }
}

template <class T>
void cell_forward(int cell, T *a, index_t ld, const T *before, T *after, index_t stride, index_t n, const Dropout *drop, int number, index_t t,
                  index_t lane, index_t first) {
    const Cell<T> &c = CELL_TABLE<T>[cell];
    if (!(drop->rate > 0)) return c.forward(a, ld, before, after, stride, n, {});
    with_kept<T>(n, drop, number, t, lane, first, [&](index_t i, index_t some, const T *kept) {
        c.forward_dropped(a + i, ld, before + i, after + i, stride, some, kept);
    });
}

template <class T>
void cell_backward(int cell, T *a, index_t ld, const T *before, const T *after, index_t stride, const T *d_after, T *d_before, T *d_cell,
                   index_t n, const Dropout *drop, int number, index_t t, index_t lane, index_t first) {
    const Cell<T> &c = CELL_TABLE<T>[cell];
    if (!(drop->rate > 0)) return c.backward(a, ld, before, after, stride, d_after, d_before, d_cell, n, {});
    with_kept<T>(n, drop, number, t, lane, first, [&](index_t i, index_t some, const T *kept) {
        c.backward_dropped(a + i, ld, before + i, after + i, stride, d_after + i, d_before + i, d_cell + i, some, kept);
    });
}
} // namespace
