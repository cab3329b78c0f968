/* vectors.h: the widest vector that this build may use, behind a handful of operations.
 *
 * One row per instruction set; the last is plain C and is what any other compiler gets. VLEN is the number of elements in
 * a vector, REGISTERS how many vectors the processor can hold at once (it decides how large a register tile may be).
 * Two more things where the processor has them: V_FOUR loads four elements, over and over to the vector's end, and V_PICK spreads
 * one of them over the whole vector; and half and a quarter of a vector (HALVES). SPREADS: no instruction loads one element and
 * spreads it (tiles.h does that beforehand).
 * V_FMA(a, b, c) = a*b + c, rounded once where the processor can; a build without fused multiply-add rounds twice, and
 * is therefore the only one whose bits may differ from the others'. */
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)
#define RESTRICT __restrict
#define ALWAYS_INLINE static __forceinline
#define NEVER_INLINE static __declspec(noinline)
#define UNROLL
#else
#define RESTRICT restrict
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NEVER_INLINE static __attribute__((noinline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#endif

/* A hint: this address will be needed soon. It may lie anywhere. */
#if defined(_MSC_VER) && !defined(__clang__)
#define PREFETCH(p) ((void)(p))
#else
#define PREFETCH(p) __builtin_prefetch(p)
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#define REGISTERS 32
#define vec_f __m512
#define vec_d __m512d
#define V_LOAD_f _mm512_loadu_ps
#define V_LOAD_d _mm512_loadu_pd
#define V_STORE_f _mm512_storeu_ps
#define V_STORE_d _mm512_storeu_pd
#define V_SET_f _mm512_set1_ps
#define V_SET_d _mm512_set1_pd
#define V_FMA_f _mm512_fmadd_ps
#define V_FMA_d _mm512_fmadd_pd
#define V_ADD_f _mm512_add_ps
#define V_ADD_d _mm512_add_pd
#define V_MAX_f _mm512_max_ps
#define V_MAX_d _mm512_max_pd
#define V_MIN_f _mm512_min_ps
#define V_MIN_d _mm512_min_pd
#define V_MUL_f _mm512_mul_ps
#define V_MUL_d _mm512_mul_pd
#define V_SUB_f _mm512_sub_ps
#define V_SUB_d _mm512_sub_pd
#define V_DIV_f _mm512_div_ps
#define V_DIV_d _mm512_div_pd
#define V_SQRT_f _mm512_sqrt_ps
#define V_SQRT_d _mm512_sqrt_pd
#define FOURS 1
#define V_FOUR_f(p) _mm512_broadcast_f32x4(_mm_loadu_ps(p))
#define V_FOUR_d(p) _mm512_broadcast_f64x4(_mm256_loadu_pd(p))
#define V_PICK_f(v, i) _mm512_permute_ps(v, (i) * 0x55)
#define V_PICK_d(v, i) _mm512_permutex_pd(v, (i) * 0x55)
#define V_BACKWARDS_f(v) _mm512_permute_ps(v, 0x1b)
#define V_BACKWARDS_d(v) _mm512_permutex_pd(v, 0x1b)
#define HALVES 1
#define half_f __m256
#define half_d __m256d
#define H_LOAD_f _mm256_loadu_ps
#define H_LOAD_d _mm256_loadu_pd
#define H_STORE_f _mm256_storeu_ps
#define H_STORE_d _mm256_storeu_pd
#define H_FMA_f _mm256_fmadd_ps
#define H_FMA_d _mm256_fmadd_pd
#define H_LOW_f _mm512_castps512_ps256
#define H_LOW_d _mm512_castpd512_pd256
#define quarter_f __m128
#define quarter_d __m128d
#define Q_LOAD_f _mm_loadu_ps
#define Q_LOAD_d _mm_loadu_pd
#define Q_STORE_f _mm_storeu_ps
#define Q_STORE_d _mm_storeu_pd
#define Q_FMA_f _mm_fmadd_ps
#define Q_FMA_d _mm_fmadd_pd
#define Q_LOW_f _mm512_castps512_ps128
#define Q_LOW_d _mm512_castpd512_pd128
#elif defined(__AVX2__) && (defined(__FMA__) || defined(_MSC_VER))
#include <immintrin.h>
#define VECTOR_BYTES 32
#define REGISTERS 16
#define vec_f __m256
#define vec_d __m256d
#define V_LOAD_f _mm256_loadu_ps
#define V_LOAD_d _mm256_loadu_pd
#define V_STORE_f _mm256_storeu_ps
#define V_STORE_d _mm256_storeu_pd
#define V_SET_f _mm256_set1_ps
#define V_SET_d _mm256_set1_pd
#define V_FMA_f _mm256_fmadd_ps
#define V_FMA_d _mm256_fmadd_pd
#define V_ADD_f _mm256_add_ps
#define V_ADD_d _mm256_add_pd
#define V_MAX_f _mm256_max_ps
#define V_MAX_d _mm256_max_pd
#define V_MIN_f _mm256_min_ps
#define V_MIN_d _mm256_min_pd
#define V_MUL_f _mm256_mul_ps
#define V_MUL_d _mm256_mul_pd
#define V_SUB_f _mm256_sub_ps
#define V_SUB_d _mm256_sub_pd
#define V_DIV_f _mm256_div_ps
#define V_DIV_d _mm256_div_pd
#define V_SQRT_f _mm256_sqrt_ps
#define V_SQRT_d _mm256_sqrt_pd
#define FOURS 1
#define V_FOUR_f(p) _mm256_broadcast_ps((const __m128 *)(p))
#define V_FOUR_d(p) _mm256_loadu_pd(p)
#define V_PICK_f(v, i) _mm256_permute_ps(v, (i) * 0x55)
#define V_PICK_d(v, i) _mm256_permute4x64_pd(v, (i) * 0x55)
#define V_BACKWARDS_f(v) _mm256_permute_ps(v, 0x1b)
#define V_BACKWARDS_d(v) _mm256_permute4x64_pd(v, 0x1b)
#elif defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>
#define VECTOR_BYTES 16
#define REGISTERS 32
#define vec_f float32x4_t
#define vec_d float64x2_t
#define V_LOAD_f vld1q_f32
#define V_LOAD_d vld1q_f64
#define V_STORE_f vst1q_f32
#define V_STORE_d vst1q_f64
#define V_SET_f vdupq_n_f32
#define V_SET_d vdupq_n_f64
#define V_FMA_f(a, b, c) vfmaq_f32(c, a, b)
#define V_FMA_d(a, b, c) vfmaq_f64(c, a, b)
#define V_ADD_f vaddq_f32
#define V_ADD_d vaddq_f64
#define V_MAX_f vmaxq_f32
#define V_MAX_d vmaxq_f64
#define V_MIN_f vminq_f32
#define V_MIN_d vminq_f64
#define V_MUL_f vmulq_f32
#define V_MUL_d vmulq_f64
#define V_SUB_f vsubq_f32
#define V_SUB_d vsubq_f64
#define V_DIV_f vdivq_f32
#define V_DIV_d vdivq_f64
#define V_SQRT_f vsqrtq_f32
#define V_SQRT_d vsqrtq_f64
#elif defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define VECTOR_BYTES 16
#define REGISTERS 16
#define vec_f __m128
#define vec_d __m128d
#define V_LOAD_f _mm_loadu_ps
#define V_LOAD_d _mm_loadu_pd
#define V_STORE_f _mm_storeu_ps
#define V_STORE_d _mm_storeu_pd
#define V_SET_f _mm_set1_ps
#define V_SET_d _mm_set1_pd
#define V_FMA_f(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
#define V_FMA_d(a, b, c) _mm_add_pd(_mm_mul_pd(a, b), c)
#define V_ADD_f _mm_add_ps
#define V_ADD_d _mm_add_pd
#define V_MAX_f _mm_max_ps
#define V_MAX_d _mm_max_pd
#define V_MIN_f _mm_min_ps
#define V_MIN_d _mm_min_pd
#define V_MUL_f _mm_mul_ps
#define V_MUL_d _mm_mul_pd
#define V_SUB_f _mm_sub_ps
#define V_SUB_d _mm_sub_pd
#define V_DIV_f _mm_div_ps
#define V_DIV_d _mm_div_pd
#define V_SQRT_f _mm_sqrt_ps
#define V_SQRT_d _mm_sqrt_pd
/* An SSE instruction that computes reads its operand from memory only if that is aligned; the later ones need no telling. */
#define V_ALIGNED_f _mm_load_ps
#define V_ALIGNED_d _mm_load_pd
#define SPREADS 1
#else
#define VECTOR_BYTES 0 /* one element */
#define REGISTERS 16
#define vec_f float
#define vec_d double
#define V_LOAD_f(p) (*(p))
#define V_LOAD_d(p) (*(p))
#define V_STORE_f(p, v) (*(p) = (v))
#define V_STORE_d(p, v) (*(p) = (v))
#define V_SET_f(x) (x)
#define V_SET_d(x) (x)
#define V_FMA_f(a, b, c) ((a) * (b) + (c))
#define V_FMA_d(a, b, c) ((a) * (b) + (c))
#define V_ADD_f(a, b) ((a) + (b))
#define V_ADD_d(a, b) ((a) + (b))
#define V_MAX_f(a, b) ((a) > (b) ? (a) : (b))
#define V_MAX_d(a, b) ((a) > (b) ? (a) : (b))
#define V_MIN_f(a, b) ((a) < (b) ? (a) : (b))
#define V_MIN_d(a, b) ((a) < (b) ? (a) : (b))
#define V_MUL_f(a, b) ((a) * (b))
#define V_MUL_d(a, b) ((a) * (b))
#define V_SUB_f(a, b) ((a) - (b))
#define V_SUB_d(a, b) ((a) - (b))
#define V_DIV_f(a, b) ((a) / (b))
#define V_DIV_d(a, b) ((a) / (b))
#define V_SQRT_f sqrtf
#define V_SQRT_d sqrt
#endif

#if VECTOR_BYTES
#define VLEN_f (VECTOR_BYTES / 4)
#define VLEN_d (VECTOR_BYTES / 8)
#else
#define VLEN_f 1
#define VLEN_d 1
#endif

#ifndef V_ALIGNED_f
#define V_ALIGNED_f V_LOAD_f
#define V_ALIGNED_d V_LOAD_d
#endif

#ifndef SPREADS
#define SPREADS 0
#endif

#ifndef FOURS
#define FOURS 0
#endif

/* Where a full vector costs two passes of the unit that multiplies, half a vector at the end of a row costs one. */
#ifndef HALVES
#define HALVES 0
#define half_f vec_f
#define half_d vec_d
#define H_LOAD_f V_LOAD_f
#define H_LOAD_d V_LOAD_d
#define H_STORE_f V_STORE_f
#define H_STORE_d V_STORE_d
#define H_FMA_f V_FMA_f
#define H_FMA_d V_FMA_d
#define H_LOW_f(v) (v)
#define H_LOW_d(v) (v)
#define quarter_f vec_f
#define quarter_d vec_d
#define Q_LOAD_f V_LOAD_f
#define Q_LOAD_d V_LOAD_d
#define Q_STORE_f V_STORE_f
#define Q_STORE_d V_STORE_d
#define Q_FMA_f V_FMA_f
#define Q_FMA_d V_FMA_d
#define Q_LOW_f(v) (v)
#define Q_LOW_d(v) (v)
#endif

/* A square block of TURN by TURN elements, transposed: 8 by 8 floats or 4 by 4 doubles where there is AVX, else one element. */
#if defined(__AVX__)
#define TURN_f 8
#define TURN_d 4
ALWAYS_INLINE void turn_block_f(float *RESTRICT y, index_t ldy, const float *RESTRICT x, index_t ldx) {
    __m256 r[8], s[8];
    UNROLL for (int i = 0; i < 8; i++) { /* row i mod 4, columns 0-3 of it beside those of row i mod 4 + 4; then columns 4-7 */
        const float *top = x + (i & 3) * ldx + (i & 4);
        r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(top)), _mm_loadu_ps(top + 4 * ldx), 1);
    }
    UNROLL for (int i = 0; i < 8; i += 2) {
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 8; i += 4) {
        _mm256_storeu_ps(y + (i + 0) * ldy, _mm256_shuffle_ps(s[i], s[i + 2], 0x44));
        _mm256_storeu_ps(y + (i + 1) * ldy, _mm256_shuffle_ps(s[i], s[i + 2], 0xee));
        _mm256_storeu_ps(y + (i + 2) * ldy, _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44));
        _mm256_storeu_ps(y + (i + 3) * ldy, _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee));
    }
}
ALWAYS_INLINE void turn_block_d(double *RESTRICT y, index_t ldy, const double *RESTRICT x, index_t ldx) {
    __m256d r[4];
    UNROLL for (int i = 0; i < 4; i++) {
        const double *top = x + (i & 1) * ldx + (i & 2);
        r[i] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(top)), _mm_loadu_pd(top + 2 * ldx), 1);
    }
    UNROLL for (int i = 0; i < 4; i += 2) {
        _mm256_storeu_pd(y + i * ldy, _mm256_unpacklo_pd(r[i], r[i + 1]));
        _mm256_storeu_pd(y + (i + 1) * ldy, _mm256_unpackhi_pd(r[i], r[i + 1]));
    }
}
#else
#define TURN_f 1
#define TURN_d 1
#define turn_block_f(y, ldy, x, ldx) (*(y) = *(x))
#define turn_block_d(y, ldy, x, ldx) (*(y) = *(x))
#endif
