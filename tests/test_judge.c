#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "judge.h"
#include "mem.h"
#include "prng.h"
#include "script.h"

/* Each change durable when it returns, losses a suffix, batches atomic; changed
 * by words as on the command line. */
static struct engine_contract contract_of(const char *words)
{
	struct engine_contract contract = {.prefix = true, .batch = ENGINE_BATCH_ATOMIC};
	struct err err = {0};
	if (*words)
		ck_assert_msg(contract_override(words, &contract, &err) == 0, "%s", err.text);
	return contract;
}

/* Contents from "a=1 b=2 c=?": the write that a key shows, or ? for an invented
 * value.  Keys that are not named are absent. */
static struct contents *contents_of(const struct history *h, const char *text)
{
	struct contents *c = mem_alloc(1, contents_bytes(h));
	contents_init(h, c);
	for (const char *word = text; *word; word += strcspn(word, " "), word += *word == ' ') {
		uint32_t key = history_key(h, (struct engine_bytes){word, strcspn(word, "=")});
		ck_assert_uint_lt(key, h->n_keys);
		const char *value = strchr(word, '=') + 1;
		c->write[key] =
			*value == '?' ? CONTENTS_INVENTED : (uint32_t)strtoul(value, NULL, 10);
		if (*value == '?' && c->invented++ == 0)
			snprintf(c->text, sizeof c->text, "%.1s holds garbage", word);
	}
	return c;
}

/* "p=2 loss=1 O2 O6", or without "p=" where no prefix gives the contents. */
static void print_verdict(const struct verdict *v, struct buf *out)
{
	if (v->has_prefix)
		buf_printf(out, "p=%u ", v->prefix);
	buf_printf(out, "loss=%u", v->loss);
	for (int rule = RULE_O1; rule < RULES_END; rule++)
		if (v->broken & RULE_BIT(rule))
			buf_printf(out, " %s", rule_name((enum rule)rule));
}

/* ---- one line, one verdict ---- */

static const struct example {
	const char *script, *contract, *contents, *verdict;
} examples[] = {
	/* O4, O2, O6: order and durability */
	{"put a; put b; put a", "", "a=3 b=2", "p=3 loss=0"},
	{"put a; put b; put a", "", "a=1 b=2", "p=2 loss=1 O2"},
	{"put a; put b; put a", "", "", "p=0 loss=3 O2"},
	{"put a; put b; put a", "on-sync", "", "p=0 loss=3"},
	{"put a; put b; put a", "on-sync", "a=3", "loss=1 O4"},
	{"put a; put b; put a", "on-sync,no-prefix", "a=3", "loss=1"},
	{"put a; put b; put a", "no-prefix", "a=3", "loss=1 O2"},
	{"put a; put b; put a", "", "a=3", "loss=1 O2 O4"},
	{"put a; put b; put a", "every=2", "a=1 b=2", "p=2 loss=1"},
	{"put a; put b; put a", "every=2", "a=1", "p=1 loss=2 O2"},
	{"put a; put b; sync; put a", "on-sync", "a=1 b=2", "p=2 loss=1"},
	{"put a; put b; sync; put a", "on-sync", "a=1", "p=1 loss=2 O2"},
	{"put a; del a", "", "", "p=2 loss=0"},
	{"put a; del a", "", "a=1", "p=1 loss=1 O6"},
	{"put a; del a", "no-prefix", "a=1", "p=1 loss=1 O6"},
	{"put a; del a; put b", "", "a=1", "p=1 loss=2 O2 O6"},
	{"put a; put a; del a", "", "a=1", "p=1 loss=2 O6"},
	{"put a; del a; ?put a", "", "a=2", "p=3 loss=0"},
	{"put a; ?del a", "", "a=1", "p=1 loss=0"},
	{"put a; ?del a", "", "", "p=2 loss=0"},
	/* Each key by itself is in order, but not together. */
	{"put a; put b; sync; del a; put a; del b", "on-sync", "", "p=0 loss=5 O2"},
	{"put a; put b; sync; del a; put a; del b", "on-sync,no-prefix", "", "p=0 loss=5"},

	/* O3: inventions, and the future */
	{"put a; put b", "", "a=1 b=?", "loss=0 O2 O3 O4"},
	{"put a; put b", "on-sync,no-prefix", "a=1 b=?", "loss=0 O3"},
	{"put a; put b; del b", "no-prefix", "a=1 b=?", "loss=0 O3"},
	{"put a; put b", "no-prefix", "a=2 b=2", "loss=0 O2 O3"},
	{"put a; put b", "no-prefix", "a=9 b=2", "loss=0 O2 O3"},

	/* O5, O7: batches */
	{"put a; batch a b c", "on-sync", "a=1", "p=1 loss=1"},
	{"put a; batch a b c", "on-sync", "a=2 b=3 c=4", "p=2 loss=0"},
	{"put a; batch a b c", "on-sync", "a=2", "loss=1 O4 O5"},
	{"put a; batch a b c", "on-sync,no-prefix", "a=1 c=4", "loss=1 O5"},
	{"put a; batch a b c", "", "a=2 b=3", "loss=1 O2 O4 O5"},
	{"put a; ?batch a b c", "", "a=2 b=3", "loss=0 O4 O5 O7"},
	{"put a; ?batch a b c", "no-prefix", "a=2 b=3", "loss=0 O5 O7"},
	{"put a; batch a b", "on-sync,batch=none", "a=2", "p=1 loss=1"},
	{"put a; batch a b", "on-sync,batch=none", "a=1 b=3", "loss=1 O4"},
	{"put a; ?batch a b", "batch=none", "a=2", "p=1 loss=0"},
	{"put a; batch a b", "batch=none", "a=2", "p=1 loss=1 O2"},
	/* What a later change overwrote says nothing of the batch. */
	{"batch a b; put a; del b", "no-prefix", "a=3", "p=3 loss=0"},
	{"batch a b; del b; put c", "on-sync,no-prefix", "a=1 c=3", "p=3 loss=0"},
	{"batch a b; ?del b", "no-prefix", "a=1", "p=2 loss=0"},
	{"batch a b; put a", "on-sync,no-prefix", "a=3", "loss=1"},
	{"batch a b; put a", "on-sync,no-prefix", "b=2", "loss=2 O5"},
	/* A key twice in a batch: the first of the two is never seen. */
	{"batch a b a", "on-sync", "a=3 b=2", "p=1 loss=0"},
	{"batch a b a", "on-sync", "a=1 b=2", "loss=1 O4 O5"},
	{"put a; batch -a a", "on-sync", "", "p=0 loss=2"},
	{"put a; sync; batch -a a", "on-sync,no-prefix", "", "p=0 loss=2 O5"},
	/* A delete shows that a batch is there where nothing else explains it. */
	{"put a; sync; ?batch -a b", "on-sync,no-prefix", "", "p=0 loss=1 O5 O7"},
	{"put a; ?batch -a b", "on-sync,no-prefix", "", "p=0 loss=1"},

	/* Failed changes may have happened or not. */
	{"put a; !put a; put b", "", "a=1 b=3", "p=3 loss=0"},
	{"put a; !put a; put b", "", "a=2 b=3", "p=3 loss=0"},
	{"put a; !put a; put b", "", "a=2", "p=2 loss=1 O2"},
	{"put a; !put a; put b", "", "a=1", "p=2 loss=1 O2"},
	{"put a; !del a; put b", "", "b=2", "p=3 loss=0"},
	{"put a; !del a; put b; put a", "", "b=2", "p=3 loss=1 O2"},
	{"put a; !batch a b; put c", "", "a=2 b=3 c=4", "p=3 loss=0"},
	{"put a; !batch a b; put c", "", "a=1 c=4", "p=3 loss=0"},
	{"put a; !batch a b; put c", "", "a=2 c=4", "p=3 loss=0 O5"},
	{"put a; !batch a b; put c", "batch=none", "a=2 c=4", "p=3 loss=0"},

	/* Empty values look alike: the last that fits counts. */
	{"put a=; put b; put a=", "", "a=1 b=2", "p=3 loss=0"},
	{"put a=; put a; put a=; del a", "", "a=1", "p=3 loss=1 O6"},

	{"", "", "", "p=0 loss=0"},
};

START_TEST(the_verdict_is_as_the_rules_say)
{
	const struct example *e = &examples[_i];
	struct script s = script_make(e->script);
	struct engine_contract contract = contract_of(e->contract);
	struct contents *c = contents_of(s.history, e->contents);
	struct bounds bounds = history_bounds(s.history, &contract, UINT32_MAX, true);
	struct judge *judge = judge_create(s.history, &contract);
	struct verdict verdict;
	struct buf fast = {0}, slow = {0};
	judge_contents(judge, c, &bounds, &verdict);
	print_verdict(&verdict, &fast);
	judge_reference(s.history, &contract, c, &bounds, &verdict);
	print_verdict(&verdict, &slow);
	ck_assert_msg(strcmp(buf_text(&slow), e->verdict) == 0,
		      "reference: %s [%s] {%s}: %s, not %s", e->script, e->contract, e->contents,
		      buf_text(&slow), e->verdict);
	ck_assert_msg(strcmp(buf_text(&fast), e->verdict) == 0, "%s [%s] {%s}: %s, not %s",
		      e->script, e->contract, e->contents, buf_text(&fast), e->verdict);
	buf_finish(&fast);
	buf_finish(&slow);
	judge_destroy(judge);
	free(c);
	script_finish(&s);
}
END_TEST

/* ---- explanations ---- */

static const struct explanation {
	const char *script, *contract, *contents;
	enum rule rule;
	const char *text;
} explanations[] = {
	{"put a; sync; put b; put a; del b", "no-prefix", "a=1", RULE_O2,
	 "a: put #3 (write 3) was acknowledged as durable, but recovery found write 1 of put #0 "
	 "instead; the contents are those just before put #2"},
	{"put a; put b; put c", "", "a=1", RULE_O2,
	 "b: put #1 (write 2) was acknowledged as durable, but recovery found nothing instead, and "
	 "so for 1 more key; the contents are those just before put #1"},
	{"put a; put b; sync; del a; put a; del b", "on-sync", "", RULE_O2,
	 "the contents are those just before put #0, though all up to put #1 was acknowledged as "
	 "durable"},
	{"put a; batch b -a", "no-prefix", "a=1 b=2", RULE_O6,
	 "a: batch #1 (a delete) was acknowledged as durable, but recovery found write 1 of put #0 "
	 "instead"},
	{"put a; put b", "", "a=1 b=?", RULE_O2,
	 "b: put #1 (write 2) was acknowledged as durable, but recovery found a value that was "
	 "never written to it instead"},
	{"put a; put b", "", "a=1 b=?", RULE_O3, "b holds garbage"},
	{"put a; put b", "", "a=1 b=?", RULE_O4,
	 "no prefix of the operations gives these contents: some of them were never written"},
	{"put a; put b; put a", "on-sync", "a=3", RULE_O4,
	 "no prefix of the operations gives these contents: a holds write 3 of put #2, but b still "
	 "holds nothing, which ended with put #1 (write 2)"},
	{"batch a b a", "on-sync", "a=1 b=2", RULE_O4,
	 "no prefix of the operations gives these contents: a holds write 1 of batch #0, which is "
	 "never seen after a whole batch"},
	{"put a; batch a b c", "on-sync", "a=1 b=3", RULE_O5,
	 "batch #1 of 3 changes is there in part: b holds write 3 of it, but a holds write 1 of "
	 "put #0 instead of write 2"},
	{"put a; sync; ?batch -a b", "on-sync,no-prefix", "", RULE_O7,
	 "batch #2 of 2 changes, which had not returned, is there in part: a is deleted by it, but "
	 "b holds nothing instead of write 2"},
	{"put a; batch -a b", "on-sync", "a=1 b=2", RULE_O5,
	 "batch #1 of 2 changes is there in part: b holds write 2 of it, but a holds write 1 of "
	 "put #0 instead of being deleted"},
	{"put a=; put a", "", "a=1", RULE_O2,
	 "a: put #1 (write 2) was acknowledged as durable, but recovery found the empty value, as "
	 "of put #0, instead; the contents are those just before put #1"},
	{"put a; put b", "", "a=1 b=2", RULE_O2, ""},
};

START_TEST(a_violation_is_explained_in_words)
{
	const struct explanation *e = &explanations[_i];
	struct script s = script_make(e->script);
	struct engine_contract contract = contract_of(e->contract);
	struct contents *c = contents_of(s.history, e->contents);
	struct bounds bounds = history_bounds(s.history, &contract, UINT32_MAX, true);
	struct judge *judge = judge_create(s.history, &contract);
	struct buf text = {0};
	judge_explain(judge, c, &bounds, e->rule, &text);
	ck_assert_str_eq(buf_text(&text), e->text);
	buf_finish(&text);
	judge_destroy(judge);
	free(c);
	script_finish(&s);
}
END_TEST

START_TEST(a_write_that_had_not_begun_is_called_that)
{
	struct script s = script_make("put a; put b");
	struct engine_contract contract = contract_of("");
	struct contents *c = contents_of(s.history, "a=1 b=2");
	struct bounds bounds = {.begun = 1, .acked = 1, .durable = 1};
	struct judge *judge = judge_create(s.history, &contract);
	struct verdict verdict;
	struct buf text = {0};
	judge_contents(judge, c, &bounds, &verdict);
	ck_assert_uint_eq(verdict.broken, RULE_BIT(RULE_O3) | RULE_BIT(RULE_O4));
	judge_explain(judge, c, &bounds, RULE_O3, &text);
	ck_assert_str_eq(buf_text(&text), "b holds write 2 of put #1, which had not begun");
	buf_finish(&text);
	judge_destroy(judge);
	free(c);
	script_finish(&s);
}
END_TEST

START_TEST(rules_have_names_and_promises)
{
	ck_assert_str_eq(rule_name(RULE_O1), "O1");
	ck_assert_str_eq(rule_name(RULE_O7), "O7");
	ck_assert_str_eq(rule_promise(RULE_O2), "durable");
	ck_assert_str_eq(rule_name(RULES_END), "");
	ck_assert_str_eq(rule_name(0), "");
}
END_TEST

/* ---- random histories ---- */

/* A history of few keys, so that the same contents come about in many ways,
 * judged under one contract at one crash point. */
struct trial {
	struct prng prng;
	struct script script;
	const struct history *h;
	struct engine_contract contract;
	struct bounds bounds;
	struct judge *judge;
	struct contents *contents;
};

static uint32_t roll(struct trial *t, uint32_t bound)
{
	return (uint32_t)prng_below(&t->prng, bound);
}

static void pick_contract(struct trial *t)
{
	t->contract = (struct engine_contract){
		.ack = (enum engine_ack)roll(t, 3),
		.every = 1 + roll(t, 5),
		.prefix = roll(t, 2),
		.batch = (enum engine_batch)roll(t, 3),
	};
}

static void pick_bounds(struct trial *t)
{
	t->bounds = history_bounds(t->h, &t->contract,
				   roll(t, (uint32_t)t->script.trace->n_events + 1), true);
}

static void trial_init(struct trial *t, uint64_t seed)
{
	prng_init(&t->prng, seed);
	struct workload_options options = {
		.ops = 5 + roll(t, 36),
		.keys = 1 + roll(t, 6),
		.batch_max = 2 + roll(t, 5),
		.empty = roll(t, 3) == 0 ? 40 : 0,
		.seed = seed,
	};
	ck_assert_int_eq(workload_parse_mix("put=40,delete=25,batch=20,sync=5", &options, NULL), 0);
	t->script = script_random(&options, roll(t, 2) ? 0 : roll(t, 40), roll(t, 2));
	t->h = t->script.history;
	pick_contract(t);
	pick_bounds(t);
	t->judge = judge_create(t->h, &t->contract);
	t->contents = mem_alloc(1, contents_bytes(t->h));
	contents_init(t->h, t->contents);
}

static void trial_finish(struct trial *t)
{
	judge_destroy(t->judge);
	free(t->contents);
	script_finish(&t->script);
}

static void apply(struct trial *t, uint32_t item)
{
	t->contents->write[t->h->items[item].key] = t->h->items[item].shows;
}

/* Contents after the first n items.  Failed changes happened or not, as a whole. */
static void show_prefix(struct trial *t, uint32_t n)
{
	contents_init(t->h, t->contents);
	for (uint32_t c = 0; c < t->h->n_changes; c++) {
		const struct history_change *change = &t->h->changes[c];
		if (change->failed && roll(t, 2))
			continue;
		for (uint32_t i = change->first; i < change->first + change->n && i < n; i++)
			apply(t, i);
	}
}

static uint32_t items_of(const struct trial *t, uint32_t changes)
{
	return changes ? t->h->changes[changes - 1].first + t->h->changes[changes - 1].n : 0;
}

/* One thing that a broken store might do to right contents. */
static void spoil(struct trial *t)
{
	struct contents *c = t->contents;
	if (t->h->n_items == 0)
		return;
	uint32_t key = roll(t, t->h->n_keys), item = roll(t, t->h->n_items);
	switch (roll(t, 7)) {
	case 0: /* any write of the key comes back, or none, begun or not */
	case 1:
		apply(t, item);
		break;
	case 2:
		c->write[key] = CONTENTS_ABSENT;
		break;
	case 3: /* a change in part: its items from some item on */
		for (uint32_t i = item;
		     i < t->h->n_items && t->h->items[i].change == t->h->items[item].change; i++)
			apply(t, i);
		break;
	case 4:
		c->write[key] = CONTENTS_INVENTED;
		c->invented++;
		break;
	case 5: /* a stranger */
		c->invented++;
		break;
	case 6: /* a number that is no write of this key, or of none */
		c->write[key] = roll(t, t->h->n_writes + 3);
		break;
	}
}

static void random_contents(struct trial *t)
{
	show_prefix(t, roll(t, 4) ? items_of(t, roll(t, t->h->n_changes + 1))
				  : roll(t, t->h->n_items + 1));
	for (uint32_t n = roll(t, 4); n > 1; n--)
		spoil(t);
}

static void describe_trial(struct trial *t, struct buf *out)
{
	contract_describe(&t->contract, out);
	buf_printf(out, "; begun %u acked %u durable %u; ", t->bounds.begun, t->bounds.acked,
		   t->bounds.durable);
	for (uint32_t i = 0; i < t->h->n_items; i++)
		buf_printf(out, "%u%s:%u=%u ", t->h->items[i].change,
			   t->h->changes[t->h->items[i].change - 1].failed ? "!" : "",
			   t->h->items[i].key, t->h->items[i].shows);
	buf_printf(out, "shows (%u invented)", t->contents->invented);
	for (uint32_t key = 0; key < t->h->n_keys; key++)
		buf_printf(out, " %u", t->contents->write[key]);
}

enum { SEEDS = 400, CONTENTS_OF_SEED = 100 };

START_TEST(judging_fast_and_judging_by_definition_agree)
{
	uint32_t seen = 0, whole = 0;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct trial t;
		trial_init(&t, (uint64_t)_i << 32 | seed);
		for (int i = 0; i < CONTENTS_OF_SEED; i++) {
			struct verdict fast, slow;
			pick_bounds(&t);
			random_contents(&t);
			judge_contents(t.judge, t.contents, &t.bounds, &fast);
			judge_reference(t.h, &t.contract, t.contents, &t.bounds, &slow);
			seen |= fast.broken;
			whole += fast.broken == 0;
			if (fast.broken == slow.broken && fast.has_prefix == slow.has_prefix &&
			    fast.prefix == slow.prefix && fast.loss == slow.loss)
				continue;
			struct buf text = {0};
			print_verdict(&fast, &text);
			buf_string(&text, " but by definition ");
			print_verdict(&slow, &text);
			buf_string(&text, ": ");
			describe_trial(&t, &text);
			ck_abort_msg("seed %llu: %s", (unsigned long long)seed, buf_text(&text));
		}
		trial_finish(&t);
	}
	/* The comparison is worth something only if everything occurred. */
	ck_assert_uint_eq(seen, RULE_BIT(RULE_O2) | RULE_BIT(RULE_O3) | RULE_BIT(RULE_O4) |
					RULE_BIT(RULE_O5) | RULE_BIT(RULE_O6) | RULE_BIT(RULE_O7));
	ck_assert_uint_gt(whole, SEEDS * CONTENTS_OF_SEED / 10);
}
END_TEST

/* What a sound store may show: where order is promised, some prefix from D to
 * what had begun; else each change up to D, and of the others any. */
static void show_sound(struct trial *t)
{
	bool units_are_items = t->contract.batch == ENGINE_BATCH_NONE;
	uint32_t from = t->bounds.durable, to = t->bounds.begun;
	if (t->contract.prefix) {
		uint32_t low = items_of(t, from), high = items_of(t, to);
		show_prefix(t, units_are_items ? low + roll(t, high - low + 1)
					       : items_of(t, from + roll(t, to - from + 1)));
		return;
	}
	contents_init(t->h, t->contents);
	for (uint32_t c = 0; c < to; c++) {
		const struct history_change *change = &t->h->changes[c];
		bool sure = c < from && !change->failed, there = sure || roll(t, 2);
		for (uint32_t i = change->first; i < change->first + change->n; i++)
			if (units_are_items ? sure || roll(t, 2) : there)
				apply(t, i);
	}
}

START_TEST(a_sound_store_is_never_accused)
{
	for (uint64_t seed = 0; seed < 2 * SEEDS; seed++) {
		struct trial t;
		trial_init(&t, seed);
		for (int i = 0; i < CONTENTS_OF_SEED; i++) {
			struct verdict verdict;
			pick_bounds(&t);
			show_sound(&t);
			judge_contents(t.judge, t.contents, &t.bounds, &verdict);
			if (verdict.broken == 0)
				continue;
			struct buf text = {0};
			print_verdict(&verdict, &text);
			buf_string(&text, ": ");
			describe_trial(&t, &text);
			ck_abort_msg("seed %llu: %s", (unsigned long long)seed, buf_text(&text));
		}
		trial_finish(&t);
	}
}
END_TEST

START_TEST(whatever_is_broken_is_explained)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct trial t;
		trial_init(&t, seed);
		for (int i = 0; i < CONTENTS_OF_SEED / 4; i++) {
			struct verdict verdict;
			pick_bounds(&t);
			random_contents(&t);
			judge_contents(t.judge, t.contents, &t.bounds, &verdict);
			for (int rule = RULE_O1; rule < RULES_END; rule++) {
				struct buf text = {0};
				/* Only contents_add makes up texts of inventions. */
				snprintf(t.contents->text, sizeof t.contents->text, "garbage");
				judge_explain(t.judge, t.contents, &t.bounds, (enum rule)rule,
					      &text);
				ck_assert_int_eq(text.len > 0,
						 (verdict.broken & RULE_BIT(rule)) != 0);
				buf_finish(&text);
			}
		}
		trial_finish(&t);
	}
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof *(table))

int main(void)
{
	TCase *cases = tcase_create("judge");
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, the_verdict_is_as_the_rules_say, 0, ROWS(examples));
	tcase_add_loop_test(cases, a_violation_is_explained_in_words, 0, ROWS(explanations));
	tcase_add_test(cases, a_write_that_had_not_begun_is_called_that);
	tcase_add_test(cases, rules_have_names_and_promises);
	tcase_add_loop_test(cases, judging_fast_and_judging_by_definition_agree, 0, 4);
	tcase_add_test(cases, a_sound_store_is_never_accused);
	tcase_add_test(cases, whatever_is_broken_is_explained);
	Suite *suite = suite_create("judge");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
