"""Which processor levels this machine can run. Compiled for the plainest processor, so that asking is always safe."""

cdef extern from *:
    """
    #if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
    static int runs_v3(void) {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    }
    static int runs_v4(void) {
        return runs_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
    #elif defined(_M_X64)
    #include <intrin.h>
    #include <immintrin.h>
    static int bits(int leaf, int word, unsigned mask) {
        int info[4];
        __cpuidex(info, 0, 0);
        if (info[0] < leaf) return 0;
        __cpuidex(info, leaf, 0);
        return ((unsigned)info[word] & mask) == mask;
    }
    /* the operating system must save the wide registers (XCR0), the processor must have the instructions (CPUID) */
    static int saved(unsigned mask) { return bits(1, 2, 1u << 27) && ((unsigned)_xgetbv(0) & mask) == mask; }
    static int runs_v3(void) { return saved(0x6) && bits(1, 2, 1u << 12) && bits(7, 1, 1u << 5); }
    static int runs_v4(void) { return runs_v3() && saved(0xe6) && bits(7, 1, (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31)); }
    #else
    static int runs_v3(void) { return 0; }
    static int runs_v4(void) { return 0; }
    #endif
    """
    int runs_v3()
    int runs_v4()


def levels():
    """The names of the levels that this processor runs, best first."""
    return (["v4"] if runs_v4() else []) + (["v3"] if runs_v3() else []) + ["base"]
