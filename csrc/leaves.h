/* leaves.h: everything that the kernels call in C. The templates tiles.h and rows.h are included once for float (names
 * end in _f) and once for double (_d). */
#pragma once
#include <math.h>
#include <stddef.h>

typedef ptrdiff_t index_t;

#include "vectors.h"
#include "elementary.h"
#include "barrier.h"

#define ENDS 256 /* of how many rows at most the parts of vectors at the ends are gathered (tiles.h) ... */
#define ROOM_FOR_ENDS (ENDS * 32 + 64) /* ... and the bytes they take, from a whole line on */

enum { AS_IT_IS, TANH, TANH_BACKWARD }; /* what becomes of a row of sums (tiles.h) */

/* Where part i begins when n things are dealt out in equal parts. */
static inline index_t part(index_t n, index_t parts, index_t i) { return n * i / parts; }

/* y becomes log y. Here, for it is needed in double only */
static inline void log_here(double *y, index_t n) {
    for (index_t i = 0; i < n; i++) y[i] = log1_d(y[i]);
}

#define sqrt1_f sqrtf
#define sqrt1_d sqrt

#define REAL float
#define NAME(name) name##_f
#define VEC vec_f
#define VLEN VLEN_f
#define V_LOAD V_LOAD_f
#define V_ALIGNED V_ALIGNED_f
#define V_STORE V_STORE_f
#define V_SET V_SET_f
#define V_FMA V_FMA_f
#define V_ADD V_ADD_f
#define V_MAX V_MAX_f
#define V_MIN V_MIN_f
#define V_MUL V_MUL_f
#define V_SUB V_SUB_f
#define V_DIV V_DIV_f
#define V_SQRT V_SQRT_f
#define V_FOUR V_FOUR_f
#define V_PICK V_PICK_f
#define V_BACKWARDS V_BACKWARDS_f
#define HALF half_f
#define H_LOAD H_LOAD_f
#define H_STORE H_STORE_f
#define H_FMA H_FMA_f
#define H_ADD H_ADD_f
#define H_LOW H_LOW_f
#define H_WIDE H_WIDE_f
#define QUARTER quarter_f
#define Q_LOAD Q_LOAD_f
#define Q_STORE Q_STORE_f
#define Q_FMA Q_FMA_f
#define Q_ADD Q_ADD_f
#define Q_LOW Q_LOW_f
#define Q_WIDE Q_WIDE_f
#define TURN TURN_f
#define TURN_BLOCK turn_block_f
#include "rows.h"
#include "tiles.h"
#undef REAL
#undef NAME
#undef VEC
#undef VLEN
#undef V_LOAD
#undef V_ALIGNED
#undef V_STORE
#undef V_SET
#undef V_FMA
#undef V_ADD
#undef V_MAX
#undef V_MIN
#undef V_MUL
#undef V_SUB
#undef V_DIV
#undef V_SQRT
#undef V_FOUR
#undef V_PICK
#undef V_BACKWARDS
#undef HALF
#undef H_LOAD
#undef H_STORE
#undef H_FMA
#undef H_ADD
#undef H_LOW
#undef H_WIDE
#undef QUARTER
#undef Q_LOAD
#undef Q_STORE
#undef Q_FMA
#undef Q_ADD
#undef Q_LOW
#undef Q_WIDE
#undef TURN
#undef TURN_BLOCK

#define REAL double
#define NAME(name) name##_d
#define VEC vec_d
#define VLEN VLEN_d
#define V_LOAD V_LOAD_d
#define V_ALIGNED V_ALIGNED_d
#define V_STORE V_STORE_d
#define V_SET V_SET_d
#define V_FMA V_FMA_d
#define V_ADD V_ADD_d
#define V_MAX V_MAX_d
#define V_MIN V_MIN_d
#define V_MUL V_MUL_d
#define V_SUB V_SUB_d
#define V_DIV V_DIV_d
#define V_SQRT V_SQRT_d
#define V_FOUR V_FOUR_d
#define V_PICK V_PICK_d
#define V_BACKWARDS V_BACKWARDS_d
#define HALF half_d
#define H_LOAD H_LOAD_d
#define H_STORE H_STORE_d
#define H_FMA H_FMA_d
#define H_ADD H_ADD_d
#define H_LOW H_LOW_d
#define H_WIDE H_WIDE_d
#define QUARTER quarter_d
#define Q_LOAD Q_LOAD_d
#define Q_STORE Q_STORE_d
#define Q_FMA Q_FMA_d
#define Q_ADD Q_ADD_d
#define Q_LOW Q_LOW_d
#define Q_WIDE Q_WIDE_d
#define TURN TURN_d
#define TURN_BLOCK turn_block_d
#include "rows.h"
#include "tiles.h"
