/* exp, tanh and log of one number, written so that a plain loop over them becomes vector code.

   (a) Only IEEE + - * /, fused multiply-add, integer operations and selects: no branches, no tables, no calls, so the compiler
       turns `for (i) y[i] = tanh1_f(x[i])` into packed instructions of any width. No operation depends on that width,
       hence neither does any bit of a result. Needs -fno-math-errno -fno-trapping-math (to vectorise the selects) and
       -ffp-contract=off (so that only the fma written here is fused); never -ffast-math, which would undo (b).
   (b) Rounding to an integer: t = x + 1.5 * 2^23 has no room for a fraction (double: 2^52), so the addition rounds x to
       the nearest integer n; t - 1.5 * 2^23 is n as a number and the low bits of t are n as an integer. Adding a bias to
       the constant makes these low bits an exponent field: shifted to its place, they are 2^n.
   (c) exp(x) = 2^n exp(r), n = nearest integer to x / ln 2, r = x - n ln 2 in [-ln2/2, ln2/2]. ln 2 is a sum of two
       numbers, the first so short that n times it is exact. exp(r) = 1 + (r + r^2 q(r)), q(r) = 1/2 + r (c3 + c4 r + ...).
   (d) tanh(a) = e / (e + 2), e = exp(2a) - 1 = 2^n expm1(r) + (2^n - 1), a = |x|, with the sign of x. What e and the quotient
       are rounded by counts most where tanh is small. So n is the nearest integer to 2a / ln 2 - 1/4, r in [-ln2/4, 3 ln2/4]: n stays 0
       up to a = 0.26, and there, where r = 2a and e = r + r^2 q(r), the quotient only corrects a:  e / (e + 2) = a + (r^2 q(r) - a e) / (e + 2).
       (One quotient x P(x^2) / Q(x^2) would be faster still, but is off by up to 7 ulp and exceeds 1.)
   (e) Each polynomial is the minimax one on its interval (by exchange or by reweighting, in 40 digits or more, weighted to bound the
       relative error of the result), its coefficients then rounded. Errors are quoted in units of the last place (ulp) of the result.
   (f) NaN gives NaN: in exp the limit put on t may swallow it, but r still carries it, and all selects are turned so that a
       comparison with NaN, which is false, keeps it.

   Largest error found, in ulp, with fma (without): float, over all 2^32 arguments: exp 1.02 (0.99), tanh 1.50 (1.50); double, over
   25 million arguments each: exp 1.05 (1.01), tanh 1.50 (1.50), log 0.85 (0.86). Subnormal arguments and results included. */
#ifndef CHARRNN_ELEMENTARY_H
#define CHARRNN_ELEMENTARY_H
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Inlining is a must: a loop with a call in it stays scalar. */
#if defined(__GNUC__)
#define ELEMENTARY static inline __attribute__((always_inline, unused))
#elif defined(_MSC_VER)
#define ELEMENTARY static __forceinline
#else
#define ELEMENTARY static inline
#endif

/* a * b + c, rounded once where the processor can, twice elsewhere: the library's emulation costs hundreds of cycles. */
#if defined(__GNUC__) && (defined(__FMA__) || defined(__aarch64__))
#define fma_f(a, b, c) __builtin_fmaf(a, b, c)
#define fma_d(a, b, c) __builtin_fma(a, b, c)
#elif defined(_MSC_VER) && (defined(__AVX2__) || defined(_M_ARM64))
#define fma_f(a, b, c) fmaf(a, b, c)
#define fma_d(a, b, c) fma(a, b, c)
#else
#define fma_f(a, b, c) ((a) * (b) + (c))
#define fma_d(a, b, c) ((a) * (b) + (c))
#endif

ELEMENTARY uint32_t bits_f(float x) { uint32_t i; memcpy(&i, &x, sizeof i); return i; }
ELEMENTARY uint64_t bits_d(double x) { uint64_t i; memcpy(&i, &x, sizeof i); return i; }
ELEMENTARY float from_bits_f(uint32_t i) { float x; memcpy(&x, &i, sizeof x); return x; }
ELEMENTARY double from_bits_d(uint64_t i) { double x; memcpy(&x, &i, sizeof x); return x; }

/* min(t, limit), limit > 0; a NaN of either sign may become anything, so it has to reach the result by another way.
   Compared as integers, which for numbers above zero is the same order: one instruction, where a float select takes two. */
ELEMENTARY float at_most_f(float t, float limit)
{
    int32_t i = (int32_t)bits_f(t), j = (int32_t)bits_f(limit);
    return from_bits_f((uint32_t)(i < j ? i : j));
}

/* exp(r) - 1 for |r| <= ln2/2, as in (c). Polynomial error 0.06 ulp of exp(r); the order of evaluation is for latency. */
ELEMENTARY float expm1_core_f(float r)
{
    float r2 = r * r;
    float q = fma_f(0x1.6b6a9cp-10f, r, 0x1.122f0ap-7f);
    q = fma_f(q, r2, fma_f(0x1.55568cp-5f, r, 0x1.5554a4p-3f));
    q = fma_f(q, r, 0.5f);
    return fma_f(q, r2, r);
}

/* exp(x) as in (c). 2^n is applied as two factors 2^h 2^(n-h), since n runs from -150 (half the least subnormal) to 128
   (overflow), farther than one exponent field; the first product is exact, so a subnormal result is rounded only once.
   Above the range n stays at 128 and r grows until the result is inf. */
ELEMENTARY float exp1_f(float x)
{
    const float shift = 12582912.0f + 2 * 127.0f;
    float t = at_most_f(fma_f(x, 0x1.715476p+0f, shift), shift + 128.0f);
    float n = t - shift;
    float r = fma_f(n, -0x1.7f7d1cp-20f, fma_f(n, -0x1.62e4p-1f, x));
    uint32_t k = bits_f(t), h = k >> 1;
    float y = (1.0f + expm1_core_f(r)) * from_bits_f(h << 23) * from_bits_f((k - h) << 23);
    return x < -104.0f ? 0.0f : y;
}

/* tanh(x) as in (d); tanh(10) is 1. One-part ln 2 is enough: its error is damped by 2 / (e + 2). Polynomial error 0.25 ulp of expm1(r). */
ELEMENTARY float tanh1_f(float x)
{
    const float shift = 12582912.0f + 127.0f;
    float a = from_bits_f(bits_f(x) & 0x7fffffffu);
    a = a > 10.0f ? 10.0f : a;
    float t = fma_f(a, 0x1.715476p+1f, -0.25f) + shift, n = t - shift;
    float r = fma_f(n, -0x1.62e43p-1f, a + a), r2 = r * r;
    float q = fma_f(0x1.a3db1cp-10f, r, 0x1.0f6076p-7f);
    q = fma_f(q, r2, fma_f(0x1.554c90p-5f, r, 0x1.555632p-3f));
    q = fma_f(q, r, 0.5f);
    float s = from_bits_f(bits_f(t) << 23);
    float e = fma_f(s, fma_f(q, r2, r), s - 1.0f);
    float top = n == 0.0f ? fma_f(-a, e, q * r2) : e;
    float z = (n == 0.0f ? a : 0.0f) + top / (e + 2.0f);
    return from_bits_f(bits_f(z) | (bits_f(x) & 0x80000000u));
}

/* exp(r) - 1 for |r| <= ln2/2, as in (c), even and odd powers apart. Polynomial error 0.05 ulp of exp(r). */
ELEMENTARY double expm1_core_d(double r)
{
    double r2 = r * r;
    double even = fma_d(0x1.289f13d281712p-22, r2, 0x1.a019abb3a1be6p-16);
    even = fma_d(even, r2, 0x1.6c16c17c92966p-10);
    even = fma_d(even, r2, 0x1.55555555532b9p-5);
    even = fma_d(even, r2, 0.5);
    double odd = fma_d(0x1.ad22f7094cebcp-26, r2, 0x1.71df51fc7e9e7p-19);
    odd = fma_d(odd, r2, 0x1.a01a011e812fap-13);
    odd = fma_d(odd, r2, 0x1.1111111127dabp-7);
    odd = fma_d(odd, r2, 0x1.5555555555505p-3);
    return fma_d(fma_d(odd, r, even), r2, r);
}

/* As exp1_f; n runs from -1076 to 1024. */
ELEMENTARY double exp1_d(double x)
{
    const double shift = 6755399441055744.0 + 2 * 1023.0;
    double t = fma_d(x, 0x1.71547652b82fep+0, shift);
    t = t < shift + 1024.0 ? t : shift + 1024.0;
    double n = t - shift;
    double r = fma_d(n, -0x1.ef35793c7673p-45, fma_d(n, -0x1.62e42fefa38p-1, x));
    uint64_t k = bits_d(t), h = k >> 1;
    double y = (1.0 + expm1_core_d(r)) * from_bits_d(h << 52) * from_bits_d((k - h) << 52);
    return x < -746.0 ? 0.0 : y;
}

/* As tanh1_f, but with ln 2 in two parts; tanh(20) is 1. Polynomial error 0.22 ulp of expm1(r). */
ELEMENTARY double tanh1_d(double x)
{
    const double shift = 6755399441055744.0 + 1023.0;
    double a = from_bits_d(bits_d(x) & 0x7fffffffffffffffu);
    a = a > 20.0 ? 20.0 : a;
    double t = fma_d(a, 0x1.71547652b82fep+1, -0.25) + shift, n = t - shift;
    double r = fma_d(n, -0x1.ef35793c7673p-45, fma_d(n, -0x1.62e42fefa38p-1, a + a)), r2 = r * r;
    double even = fma_d(0x1.24dc36bc0efe4p-22, r2, 0x1.a01a40793b85ap-16);
    even = fma_d(even, r2, 0x1.6c16c177a5b36p-10);
    even = fma_d(even, r2, 0x1.5555555553790p-5);
    even = fma_d(even, r2, 0.5);
    double odd = fma_d(0x1.f64a47a5a7779p-26, r2, 0x1.71f564af675f1p-19);
    odd = fma_d(odd, r2, 0x1.a019fb58e2398p-13);
    odd = fma_d(odd, r2, 0x1.1111111185441p-7);
    odd = fma_d(odd, r2, 0x1.55555555554afp-3);
    double q = fma_d(odd, r, even);
    double s = from_bits_d(bits_d(t) << 52);
    double e = fma_d(s, fma_d(q, r2, r), s - 1.0);
    double top = n == 0.0 ? fma_d(-a, e, q * r2) : e;
    double z = (n == 0.0 ? a : 0.0) + top / (e + 2.0);
    return from_bits_d(bits_d(z) | (bits_d(x) & 0x8000000000000000u));
}

/* log(x) = k ln 2 + log(1 + f), x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)): taking the bits of sqrt(1/2) off those of x and
   adding them back to its fraction puts the boundary of k there. A subnormal is first multiplied by 2^54. With
   s = f / (2 + f) and z = s^2, log(1 + f) = 2s + s z R(z); written with g = f^2/2 as f - (g - s (g + z R(z))), which is the same
   since 2s = f - s f, its largest term f is exact. R: degree 6, error 0.01 ulp. (The arrangement is that of fdlibm's e_log.c.) */
ELEMENTARY double log1_d(double x)
{
    const uint64_t root = 0x3fe6a09e00000000u;
    int tiny = x < 0x1p-1022;
    double scaled = x * 0x1p54;
    uint64_t j = bits_d(tiny ? scaled : x) + (0x3ff0000000000000u - root);
    double k = from_bits_d((j >> 52) | 0x4330000000000000u) - (tiny ? 0x1p52 + 1077.0 : 0x1p52 + 1023.0);
    double f = from_bits_d((j & 0x000fffffffffffffu) + root) - 1.0;
    double s = f / (2.0 + f), z = s * s, g = 0.5 * f * f;
    double q = fma_d(0x1.2ef20ad05b496p-3, z, 0x1.39a3d22fc8893p-3);
    q = fma_d(q, z, 0x1.746628003532fp-3);
    q = fma_d(q, z, 0x1.c71c5286df559p-3);
    q = fma_d(q, z, 0x1.249249413eda7p-2);
    q = fma_d(q, z, 0x1.9999999980ce1p-2);
    q = fma_d(q, z, 0x1.555555555558fp-1);
    double y = fma_d(k, 0x1.62e42fefa38p-1, f - (g - fma_d(s, fma_d(z, q, g), k * 0x1.ef35793c7673p-45)));
    y = x < INFINITY ? y : x;
    y = x == 0.0 ? -INFINITY : y;
    return x < 0.0 ? NAN : y;
}

#endif
