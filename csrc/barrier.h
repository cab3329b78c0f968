/* barrier.h: the place where the threads of one update wait for each other.
 *
 * Updates take tens of microseconds and have four such places, so a thread spins first: a sleeping lock would cost more
 * than the work. When the others are index_t in coming (more threads than free processors) it gives its turn away. */
#pragma once
#if defined(_MSC_VER) && !defined(__clang__)
#include <windows.h>
typedef volatile LONG barrier_word;
#define ATOMIC_ADD(p) (InterlockedIncrement(p))
#define ATOMIC_GET(p) (InterlockedCompareExchange(p, 0, 0))
#define ATOMIC_SET(p, x) (InterlockedExchange(p, x))
#define GIVE_WAY() SwitchToThread()
#define SPIN_HINT() YieldProcessor()
#else
#include <sched.h>
typedef int barrier_word;
#define ATOMIC_ADD(p) __atomic_add_fetch(p, 1, __ATOMIC_ACQ_REL)
#define ATOMIC_GET(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ATOMIC_SET(p, x) __atomic_store_n(p, x, __ATOMIC_RELEASE)
#define GIVE_WAY() sched_yield()
#if defined(__x86_64__) || defined(__i386__)
#define SPIN_HINT() __builtin_ia32_pause()
#else
#define SPIN_HINT() ((void)0)
#endif
#endif

/* `words`: arrived[0], round[16] and abandoned[17], the first two on cache lines of their own; all start at 0 and are shared by the
 * threads. Who finds that it cannot take part sets abandoned: then nobody waits for it any longer, and the others get 1 returned. */
static int barrier_wait(int *words, int threads) {
    if (threads <= 1) return 0;
    barrier_word *arrived = (barrier_word *)words, *round = (barrier_word *)words + 16, *abandoned = (barrier_word *)words + 17;
    const int mine = ATOMIC_GET(round);
    if (ATOMIC_ADD(arrived) == threads) {
        ATOMIC_SET(arrived, 0);
        ATOMIC_SET(round, mine + 1);
        return 0;
    }
    for (long spins = 0; ATOMIC_GET(round) == mine; spins++) {
        if (ATOMIC_GET(abandoned)) return 1;
        if (spins < 4000) SPIN_HINT(); else GIVE_WAY();
    }
    return 0;
}
