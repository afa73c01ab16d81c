#include "choose.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>

#include "mem.h"
#include "model_private.h"
#include "prng.h"

/* So many states in a row that were given before, and chance is at its end. */
enum { TRIES_MAX = 100 };

/* ---- one walk: from answers to a state ---- */

struct walk;

/* Who answers.  The site (walk->object, its possible versions) is there for
 * those who aim at a state; exhaustive and replay look at the bound alone. */
typedef uint64_t answer(struct walk *walk, uint64_t bound);

/* A block that the walk decided, and the oldest version it might still hold. */
struct site {
	uint32_t object, version, oldest;
};

struct walk {
	struct model *model;
	answer *answer;
	void *arg;
	uint32_t object;   /* the site of the present question; NONE: the tear */
	uint32_t *options; /* its possible versions, newest first */
	size_t n_options, options_cap;
	struct site *sites; /* blocks decided so far */
	size_t n_sites, sites_cap;
	struct buf *held; /* struct held[] */
	struct tear tear;
};

static uint64_t choose(struct walk *walk, uint64_t bound)
{
	return bound > 1 ? walk->answer(walk, bound) : 0;
}

static bool visible(const struct model *model, const struct object *o)
{
	if (o->kind == OBJECT_ENTRY)
		return true;
	if (model_naming(model, o->ino) == NAMED_NO)
		return false;
	if (o->kind == OBJECT_SIZE)
		return true;
	uint32_t size = model->ops->inodes[o->ino].size_object;
	return (uint64_t)o->block * BLOCK_BYTES < ops_size(model->ops, size, model->low[size]);
}

static void decide_object(struct walk *walk, uint32_t object)
{
	struct model *model = walk->model;
	uint32_t low = model->low[object];
	walk->object = object;
	walk->n_options = 0;
	for (uint32_t v = model->high[object] + 1; v-- > low;)
		if (model_possible(model, object, v))
			*MEM_PUSH(walk->options, walk->n_options, walk->options_cap) = v;
	assert(walk->n_options > 0); /* no decision ends in a dead end */
	uint32_t version = walk->options[choose(walk, walk->n_options)];
	model_decide(model, object, version);
	if (model->ops->objects[object].kind == OBJECT_BLOCK && version > low)
		*MEM_PUSH(walk->sites, walk->n_sites, walk->sites_cap) =
			(struct site){object, version, low};
	if (version < model->newest[object]) {
		struct held held = {object, version};
		buf_append(walk->held, &held, sizeof held);
	}
}

/* The n-th (from 1) way to leave some but not all of the differing sectors old. */
static uint8_t spread(uint8_t sectors, uint64_t n)
{
	uint8_t set = 0;
	for (int i = 0; i < BLOCK_SECTORS; i++)
		if (sectors >> i & 1) {
			set |= (uint8_t)((n & 1) << i);
			n >>= 1;
		}
	/* Sectors that do not differ count as new. */
	return (uint8_t)(set | ~sectors);
}

static uint64_t count_all_tears(const struct walk *walk)
{
	uint64_t total = 0;
	for (size_t i = 0; i < walk->n_sites; i++)
		for (uint32_t u = walk->sites[i].version; u-- > walk->sites[i].oldest;)
			total += count_tears(walk->model->ops, walk->sites[i].object,
					     walk->sites[i].version, u);
	return total;
}

/* Tear number n, from 0, in the order of the sites. */
static struct tear nth_tear(const struct walk *walk, uint64_t n)
{
	const struct ops *ops = walk->model->ops;
	for (size_t i = 0; i < walk->n_sites; i++)
		for (uint32_t u = walk->sites[i].version; u-- > walk->sites[i].oldest;) {
			const struct site *s = &walk->sites[i];
			uint64_t tears = count_tears(ops, s->object, s->version, u);
			if (n >= tears) {
				n -= tears;
				continue;
			}
			uint8_t differing = ops_sectors_differing(ops, s->object, s->version, u);
			return (struct tear){s->object, u, spread(differing, n + 1)};
		}
	return (struct tear){.object = NONE};
}

/* The reverse of spread: which of the differing sectors are new, as a number. */
static uint64_t gather(uint8_t sectors, uint8_t set)
{
	uint64_t n = 0;
	for (int i = BLOCK_SECTORS; i-- > 0;)
		if (sectors >> i & 1)
			n = n << 1 | (set >> i & 1);
	return n;
}

/* The answer that gives this tear: its number from 1, or 0 where the walk has no
 * such tear. */
static uint64_t tear_answer(const struct walk *walk, const struct tear *tear)
{
	const struct ops *ops = walk->model->ops;
	uint64_t before = 0;
	for (size_t i = 0; i < walk->n_sites; i++)
		for (uint32_t u = walk->sites[i].version; u-- > walk->sites[i].oldest;) {
			const struct site *s = &walk->sites[i];
			uint64_t tears = count_tears(ops, s->object, s->version, u);
			if (s->object != tear->object || u != tear->older) {
				before += tears;
				continue;
			}
			uint8_t differing = ops_sectors_differing(ops, s->object, s->version, u);
			uint64_t n = gather(differing, tear->sectors);
			return n && n <= tears ? before + n : 0;
		}
	return 0;
}

static int compare_held(const void *a, const void *b)
{
	uint32_t x = ((const struct held *)a)->object, y = ((const struct held *)b)->object;
	return (x > y) - (x < y);
}

/* Walks; the model is left decided, held sorted. */
static void walk_run(struct walk *walk, struct state *state)
{
	struct model *model = walk->model;
	uint32_t n;
	const uint32_t *pending = model->pending;
	n = (uint32_t)model->n_pending;
	buf_clear(walk->held);
	walk->n_sites = 0;
	for (uint32_t i = 0; i < n; i++)
		if (visible(model, &model->ops->objects[pending[i]]))
			decide_object(walk, pending[i]);
	walk->tear = (struct tear){.object = NONE};
	walk->object = NONE;
	if (model->profile->tears && walk->n_sites) {
		uint64_t k = choose(walk, 1 + count_all_tears(walk));
		if (k)
			walk->tear = nth_tear(walk, k - 1);
	}
	state->point = model->point;
	state->n_held = (uint32_t)(walk->held->len / sizeof(struct held));
	if (state->n_held > 1)
		qsort(walk->held->data, state->n_held, sizeof(struct held), compare_held);
	state->held = (const struct held *)(const void *)walk->held->data;
	state->tear = walk->tear;
}

static void walk_finish(struct walk *walk)
{
	free(walk->options);
	free(walk->sites);
}

/* ---- the sources of answers ---- */

/* Exhaustive: the answers so far are a path of a tree; the last one that can
 * grow does. */
struct digit {
	uint64_t value, bound;
};

struct path {
	struct digit *digits;
	size_t n, cap, at;
};

static uint64_t answer_path(struct walk *walk, uint64_t bound)
{
	struct path *path = walk->arg;
	if (path->at == path->n)
		*MEM_PUSH(path->digits, path->n, path->cap) = (struct digit){0, bound};
	return path->digits[path->at++].value;
}

static bool path_next(struct path *path)
{
	while (path->n && path->digits[path->n - 1].value + 1 == path->digits[path->n - 1].bound)
		path->n--;
	if (path->n == 0)
		return false;
	path->digits[path->n - 1].value++;
	return true;
}

static uint64_t answer_newest(struct walk *walk, uint64_t bound)
{
	(void)walk;
	(void)bound;
	return 0;
}

static uint64_t answer_oldest(struct walk *walk, uint64_t bound)
{
	return walk->object == NONE ? 0 : bound - 1;
}

/* The newest version issued before a step. */
static uint64_t answer_cut(struct walk *walk, uint64_t bound)
{
	const uint32_t *cut = walk->arg;
	const struct ops *ops = walk->model->ops;
	if (walk->object == NONE)
		return 0;
	for (size_t i = 0; i + 1 < walk->n_options; i++) {
		uint32_t v = walk->options[i];
		if (v == 0 || ops->micros[ops_micro(ops, walk->object, v)].step < *cut)
			return i;
	}
	return bound - 1;
}

static uint64_t answer_random(struct walk *walk, uint64_t bound)
{
	struct prng *prng = walk->arg;
	/* One state in four is torn, where any can be. */
	if (walk->object == NONE && prng_below(prng, 4) != 0)
		return 0;
	return prng_below(prng, bound);
}

/* Everything newest, but for one tear. */
static uint64_t answer_tear(struct walk *walk, uint64_t bound)
{
	(void)bound;
	return walk->object == NONE ? tear_answer(walk, walk->arg) : 0;
}

/* ---- the chooser ---- */

/* The rungs of the ladder, in order. */
enum rung {
	RUNG_ALL,
	RUNG_NONE,
	RUNG_PREFIX,
	RUNG_LEFT_OUT,
	RUNG_KEPT,
	RUNG_TORN,
	RUNG_PAIR_OUT,
	RUNG_PAIR_KEPT,
	RUNG_RANDOM
};

struct chooser {
	struct model *model;
	enum chooser_kind kind;
	uint64_t left; /* states still to give, or UINT64_MAX */
	uint32_t newest;
	size_t base; /* the model's mark while newest is kept */
	bool begun;
	struct walk walk;
	struct buf held;
	struct path path;
	struct prng prng;
	enum rung rung;
	uint32_t i, j;	  /* place on the rung */
	uint32_t *micros; /* pending ones in program order */
	uint32_t n_micros;
	struct given *given; /* LADDER and RANDOM: what was given already */
};

/* A state given before, by the hash of what it holds back. */
struct given {
	UT_hash_handle hh;
	uint64_t hash;
};

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Whether the other half of a rename is pending too and comes first: what is
 * asked of one half is asked of both. */
static bool second_half(const struct model *model, const struct micro *m)
{
	if (m->partner == NONE || m->partner > (uint32_t)(m - model->ops->micros))
		return false;
	const struct micro *first = &model->ops->micros[m->partner];
	return first->version > model->low[first->object];
}

static void keep_newest(struct chooser *c)
{
	if (c->newest == NONE)
		return;
	const struct micro *m = &c->model->ops->micros[c->newest];
	model_at_least(c->model, m->object, m->version);
}

/* The micro-ops that are pending and are not there already because of newest. */
static void list_micros(struct chooser *c)
{
	uint32_t n;
	size_t cap = 0, used = 0, found = model_mark(c->model);
	const struct model *model = c->model;
	const uint32_t *pending = model_pending(c->model, &n);
	keep_newest(c);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t v = model->low[pending[i]] + 1; v <= model->newest[pending[i]]; v++) {
			uint32_t m = ops_micro(model->ops, pending[i], v);
			if (!second_half(model, &model->ops->micros[m]))
				*MEM_PUSH(c->micros, used, cap) = m;
		}
	model_undo(c->model, found);
	c->n_micros = (uint32_t)used;
	if (used)
		qsort(c->micros, used, sizeof *c->micros, compare_u32);
}

static void forget_given(struct chooser *c)
{
	struct given *g, *following;
	HASH_ITER (hh, c->given, g, following) {
		HASH_DEL(c->given, g);
		free(g);
	}
}

struct chooser *chooser_create(struct model *model, enum chooser_kind kind, uint32_t newest,
			       uint64_t budget, uint64_t seed)
{
	struct chooser *c = mem_alloc(1, sizeof *c);
	c->model = model;
	c->kind = kind;
	c->newest = newest;
	c->left = kind == CHOOSE_EXHAUSTIVE || budget == 0 ? UINT64_MAX : budget;
	c->walk.model = model;
	c->walk.held = &c->held;
	prng_init(&c->prng, seed);
	list_micros(c);
	return c;
}

void chooser_destroy(struct chooser *c)
{
	if (!c)
		return;
	walk_finish(&c->walk);
	buf_finish(&c->held);
	free(c->path.digits);
	free(c->micros);
	forget_given(c);
	free(c);
}

/* Walks, on top of what is constrained; chooser_next undoes both. */
static bool give(struct chooser *c, answer *who, void *arg, struct state *state)
{
	c->walk.answer = who;
	c->walk.arg = arg;
	walk_run(&c->walk, state);
	return true;
}

static bool next_exhaustive(struct chooser *c, struct state *state)
{
	if (c->begun && !path_next(&c->path))
		return false;
	c->begun = true;
	c->path.at = 0;
	return give(c, answer_path, &c->path, state);
}

/* M5 is asked where a size is decided, so a constraint may take the data from
 * under it.  As long as each object's oldest version is legal, no decision ends
 * in a dead end: whether that holds for all sizes that were touched since a mark. */
static bool oldest_sizes_possible(const struct model *model, size_t mark)
{
	const struct ops *ops = model->ops;
	for (size_t i = mark; i < model->n_trail; i++) {
		const struct object *o = &ops->objects[model->trail[i].object];
		if (o->kind == OBJECT_ENTRY)
			continue;
		uint32_t size = ops->inodes[o->ino].size_object;
		if (!model_possible(model, size, model->low[size]))
			return false;
	}
	return true;
}

/* Leaves a pending micro-op out, or keeps it; false where that is not possible,
 * or goes without saying. */
static bool constrain(struct chooser *c, uint32_t i, bool keep)
{
	struct model *model = c->model;
	const struct micro *m = &model->ops->micros[c->micros[i]];
	size_t mark = model_mark(model);
	if (m->version <= model->low[m->object] || m->version > model->high[m->object])
		return false;
	if (keep)
		model_at_least(model, m->object, m->version);
	else
		model_at_most(model, m->object, m->version - 1);
	if (oldest_sizes_possible(model, mark))
		return true;
	model_undo(model, mark);
	return false;
}

static bool give_single(struct chooser *c, bool keep, struct state *state)
{
	while (c->i < c->n_micros)
		if (constrain(c, c->i++, keep))
			return give(c, keep ? answer_oldest : answer_newest, NULL, state);
	return false;
}

static bool give_pair(struct chooser *c, bool keep, struct state *state)
{
	for (; c->i + 1 < c->n_micros; c->i++, c->j = 0)
		while (c->i + 1 + c->j < c->n_micros) {
			uint32_t other = c->i + 1 + c->j++;
			if (constrain(c, c->i, keep) && constrain(c, other, keep))
				return give(c, keep ? answer_oldest : answer_newest, NULL, state);
			model_undo(c->model, c->base);
		}
	return false;
}

static bool give_prefix(struct chooser *c, struct state *state)
{
	if (c->i + 1 >= c->n_micros)
		return false;
	/* Prefixes of one to all but one: none and all were given. */
	uint32_t cut = c->model->ops->micros[c->micros[++c->i]].step;
	return give(c, answer_cut, &cut, state);
}

/* Four ways to tear a block's version on top of the one before: the first half
 * of the sectors is new, the last half, the first sector, the last one. */
static bool aim_tear(const struct ops *ops, const struct micro *m, uint32_t way, struct tear *aim)
{
	uint32_t older = m->version - 1;
	uint8_t differing = ops_sectors_differing(ops, m->object, m->version, older);
	int sectors = __builtin_popcount(differing);
	int part = way & 2 ? 1 : sectors / 2;
	if (sectors < 2 || (way & 2 && sectors < 4))
		return false;
	uint64_t n = ((uint64_t)1 << part) - 1;
	if (way & 1)
		n <<= sectors - part;
	*aim = (struct tear){m->object, older, spread(differing, n)};
	return true;
}

static bool give_torn(struct chooser *c, struct state *state)
{
	struct model *model = c->model;
	if (!model->profile->tears)
		return false;
	for (; c->i < c->n_micros; c->i++, c->j = 0) {
		const struct micro *m = &model->ops->micros[c->micros[c->i]];
		struct tear aim;
		if (model->ops->objects[m->object].kind != OBJECT_BLOCK)
			continue;
		while (c->j < 4 && m->version >= model->low[m->object]) {
			if (!aim_tear(model->ops, m, c->j++, &aim))
				continue;
			model_at_most(model, m->object, m->version);
			if (oldest_sizes_possible(model, c->base) &&
			    give(c, answer_tear, &aim, state) && state->tear.object != NONE)
				return true;
			model_undo(model, c->base); /* it cannot be seen */
		}
	}
	return false;
}

/* Deciding one object after the other would nearly always leave out an early
 * one, and with it whatever must follow.  So a few micro-ops from all over the
 * trace are kept or left out before. */
static bool give_random(struct chooser *c, struct state *state)
{
	for (uint32_t n = c->n_micros; n > 1; n /= 2) {
		uint32_t i = (uint32_t)prng_below(&c->prng, c->n_micros);
		constrain(c, i, prng_below(&c->prng, 2));
	}
	return give(c, answer_random, &c->prng, state);
}

static bool give_rung(struct chooser *c, struct state *state)
{
	switch (c->rung) {
	case RUNG_ALL:
		return c->i++ == 0 && give(c, answer_newest, NULL, state);
	case RUNG_NONE:
		return c->i++ == 0 && give(c, answer_oldest, NULL, state);
	case RUNG_PREFIX:
		return give_prefix(c, state);
	case RUNG_LEFT_OUT:
		return give_single(c, false, state);
	case RUNG_KEPT:
		return give_single(c, true, state);
	case RUNG_TORN:
		return give_torn(c, state);
	case RUNG_PAIR_OUT:
		return give_pair(c, false, state);
	case RUNG_PAIR_KEPT:
		return give_pair(c, true, state);
	case RUNG_RANDOM:
		break;
	}
	return give_random(c, state);
}

static bool next_ladder(struct chooser *c, struct state *state)
{
	while (!give_rung(c, state)) {
		c->rung++;
		c->i = c->j = 0;
	}
	return true;
}

/* The first two rungs, then a place on one of the others. */
static bool next_sparse(struct chooser *c, struct state *state)
{
	for (; c->rung <= RUNG_NONE; c->rung++, c->i = 0)
		if (give_rung(c, state))
			return true;
	c->i = c->n_micros ? (uint32_t)prng_below(&c->prng, c->n_micros) : 0;
	uint64_t rung = prng_below(&c->prng, 4);
	bool given = rung == 0	 ? give_prefix(c, state)
		     : rung == 1 ? give_single(c, false, state)
		     : rung == 2 ? give_single(c, true, state)
				 : false;
	if (given)
		return true;
	model_undo(c->model, c->base);
	return give_random(c, state);
}

static bool next(struct chooser *c, struct state *state)
{
	switch (c->kind) {
	case CHOOSE_EXHAUSTIVE:
		return next_exhaustive(c, state);
	case CHOOSE_LADDER:
		return next_ladder(c, state);
	case CHOOSE_SPARSE:
		return next_sparse(c, state);
	default:
		return give_random(c, state);
	}
}

/* Whether a state is given for the first time. */
static bool is_first(struct chooser *c, const struct state *state)
{
	uint64_t tear[] = {state->tear.object, state->tear.older, state->tear.sectors};
	struct given *g;
	if (c->kind == CHOOSE_EXHAUSTIVE)
		return true;
	if (state->tear.object == NONE)
		tear[1] = tear[2] = 0;
	uint64_t hash = XXH3_64bits_withSeed(state->held, state->n_held * sizeof *state->held,
					     XXH3_64bits(tear, sizeof tear));
	HASH_FIND(hh, c->given, &hash, sizeof hash, g);
	if (g)
		return false;
	g = mem_alloc(1, sizeof *g);
	g->hash = hash;
	HASH_ADD(hh, c->given, hash, sizeof hash, g);
	return true;
}

bool chooser_next(struct chooser *c, struct state *state)
{
	size_t found = model_mark(c->model);
	bool given = false;
	if (c->left == 0)
		return false;
	keep_newest(c);
	c->base = model_mark(c->model);
	for (int i = 0; i < TRIES_MAX && !given; i++) {
		model_undo(c->model, c->base);
		if (!next(c, state))
			break;
		given = is_first(c, state);
		/* Only chance may run dry: what is fixed comes to its end. */
		if (!given && c->kind == CHOOSE_LADDER && c->rung != RUNG_RANDOM)
			i = 0;
	}
	if (given && c->left != UINT64_MAX)
		c->left--;
	/* Between two states the model is as it was: nobody who asks it for an ID
	 * need know that it is being used. */
	model_undo(c->model, found);
	return given;
}

/* ---- IDs ----
 *
 * Each answer takes as many bits as its bound needs, the first answer the lowest;
 * five bits make a character of 0-9a-v; zeros at the end are left out, so that
 * the state where everything reached the disk has the answers "0". */

static const char alphabet[] = "0123456789abcdefghijklmnopqrstuv";

static unsigned bits_for(uint64_t bound)
{
	return bound < 2 ? 0 : 64 - (unsigned)__builtin_clzll(bound - 1);
}

struct bits {
	uint8_t *bit; /* one byte a bit */
	size_t n, cap, at;
	const struct state *state; /* encoding: the state to describe */
	bool bad;
};

static void put_bits(struct bits *bits, uint64_t value, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		*MEM_PUSH(bits->bit, bits->n, bits->cap) = value >> i & 1;
}

static uint64_t get_bits(struct bits *bits, unsigned count)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < count; i++, bits->at++)
		if (bits->at < bits->n)
			value |= (uint64_t)bits->bit[bits->at] << i;
	return value;
}

static uint32_t version_in(const struct state *state, const struct model *model, uint32_t object)
{
	struct held key = {.object = object};
	const struct held *held =
		state->n_held ? bsearch(&key, state->held, state->n_held, sizeof key, compare_held)
			      : NULL;
	return held ? held->version : model->newest[object];
}

static uint64_t answer_describe(struct walk *walk, uint64_t bound)
{
	struct bits *bits = walk->arg;
	uint64_t value = 0;
	if (walk->object == NONE) {
		value = tear_answer(walk, &bits->state->tear);
	} else {
		uint32_t version = version_in(bits->state, walk->model, walk->object);
		while (value + 1 < bound && walk->options[value] != version)
			value++;
	}
	put_bits(bits, value, bits_for(bound));
	return value;
}

/* The version that the wanted state has, or the oldest newer one. */
static uint64_t answer_nearest(struct walk *walk, uint64_t bound)
{
	const struct state *wanted = walk->arg;
	if (walk->object == NONE)
		return tear_answer(walk, &wanted->tear);
	uint32_t version = version_in(wanted, walk->model, walk->object);
	uint64_t i = bound - 1;
	while (i > 0 && walk->options[i] < version)
		i--;
	return i;
}

void state_restore(struct model *model, const struct state *wanted, uint32_t object,
		   struct state *state, struct buf *held)
{
	struct state copy = *wanted;
	struct walk walk = {.model = model, .held = held, .answer = answer_nearest, .arg = &copy};
	uint32_t n;
	size_t mark = model_mark(model);
	if (copy.tear.object == object)
		copy.tear.object = NONE;
	model_pending(model, &n);
	model_at_least(model, object, model->newest[object]);
	walk_run(&walk, state);
	model_undo(model, mark);
	walk_finish(&walk);
}

void state_newest(struct model *model, struct state *state, struct buf *held)
{
	struct walk walk = {.model = model, .held = held, .answer = answer_newest};
	walk_run(&walk, state);
	walk_finish(&walk);
}

static uint64_t answer_replay(struct walk *walk, uint64_t bound)
{
	struct bits *bits = walk->arg;
	uint64_t value = get_bits(bits, bits_for(bound));
	if (value >= bound) {
		bits->bad = true;
		return 0;
	}
	return value;
}

void state_id(struct model *model, const struct state *state, struct buf *out)
{
	struct bits bits = {.state = state};
	struct buf held = {0};
	struct state same;
	struct walk walk = {.model = model, .held = &held, .answer = answer_describe, .arg = &bits};
	uint32_t n;
	size_t mark = model_mark(model);
	model_pending(model, &n);
	walk_run(&walk, &same);
	model_undo(model, mark);
	while (bits.n && bits.bit[bits.n - 1] == 0)
		bits.n--;
	buf_printf(out, "%s.%u.", model->profile->name, state->point);
	if (bits.n == 0)
		buf_byte(out, '0');
	while (bits.at < bits.n)
		buf_byte(out, (uint8_t)alphabet[get_bits(&bits, 5)]);
	free(bits.bit);
	buf_finish(&held);
	walk_finish(&walk);
}

/* Splits "PROFILE.POINT.ANSWERS". */
static bool split_id(const char *id, char *name, size_t size, uint64_t *point, const char **answers)
{
	const char *dot = strchr(id, '.');
	char *end;
	if (!dot || (size_t)(dot - id) >= size || dot[1] < '0' || dot[1] > '9')
		return false;
	memcpy(name, id, (size_t)(dot - id));
	name[dot - id] = '\0';
	*point = strtoull(dot + 1, &end, 10);
	if (*end != '.' || end[1] == '\0')
		return false;
	*answers = end + 1;
	return true;
}

const struct profile *state_id_profile(const char *id)
{
	char name[64];
	uint64_t point;
	const char *answers;
	return split_id(id, name, sizeof name, &point, &answers) ? profile_find(name) : NULL;
}

static int read_answers(const char *answers, struct bits *bits, const char *id, struct err *err)
{
	for (const char *p = answers; *p; p++) {
		const char *digit = strchr(alphabet, *p);
		if (!digit)
			return err_set(err, ERR_USAGE, "state ID \"%s\": '%c' is not one of 0-9a-v",
				       id, *p);
		put_bits(bits, (uint64_t)(digit - alphabet), 5);
	}
	return ERR_OK;
}

/* A state has one ID: what would give the same state otherwise is refused. */
static bool same_id(struct model *model, const struct state *state, const char *id)
{
	struct buf again = {0};
	state_id(model, state, &again);
	bool same = strcmp(buf_text(&again), id) == 0;
	buf_finish(&again);
	return same;
}

int state_from_id(struct model *model, const char *id, struct state *state, struct buf *held,
		  struct err *err)
{
	char name[64];
	uint64_t point;
	const char *answers;
	struct bits bits = {0};
	struct walk walk = {.model = model, .held = held, .answer = answer_replay, .arg = &bits};
	uint32_t n;
	if (!split_id(id, name, sizeof name, &point, &answers) ||
	    strcmp(name, model->profile->name) != 0)
		return err_set(err, ERR_USAGE,
			       "\"%s\" is no crash-state ID of profile %s, expected "
			       "%s.POINT.ANSWERS",
			       id, model->profile->name, model->profile->name);
	int rc = read_answers(answers, &bits, id, err);
	while (!rc && model->point < point && model_advance(model))
		continue;
	if (!rc && model->point != point)
		rc = err_set(err, ERR_USAGE,
			     "state ID \"%s\": the trace has no crash point %" PRIu64, id, point);
	if (!rc) {
		size_t mark = model_mark(model);
		model_pending(model, &n);
		walk_run(&walk, state);
		model_undo(model, mark);
		if (bits.bad || !same_id(model, state, id))
			rc = err_set(
				err, ERR_USAGE,
				"state ID \"%s\" does not fit this trace: it is of another one",
				id);
	}
	free(bits.bit);
	walk_finish(&walk);
	return rc;
}
