/* A small seeded generator: splitmix64 (Steele, Lea, Flood 2014).  The same
 * seed gives the same numbers on every machine. */
#ifndef POWERCUT_PRNG_H
#define POWERCUT_PRNG_H

#include <stdint.h>

struct prng {
	uint64_t state;
};

static inline void prng_init(struct prng *p, uint64_t seed)
{
	p->state = seed;
}

static inline uint64_t prng_next(struct prng *p)
{
	uint64_t z = (p->state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* A number in [0, bound); bound 0 gives 0.  The bias of the multiplication is
 * below 2^-32 for bounds below 2^32. */
static inline uint64_t prng_below(struct prng *p, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)prng_next(p) * bound) >> 64);
}

#endif
