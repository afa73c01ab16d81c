#include <check.h>
#include <stdlib.h>

#include "contract.h"
#include "target.h"

static const struct engine_option memory_options[] = {
	{"variant", "textbook", "textbook|hardened", 0, 0, "which"},
	{"batch", "8", NULL, 1, 1000, "how many"},
	{NULL},
};

static const struct engine memory_engine = {.name = "memory", .options = memory_options};
static const struct engine poor_engine = {.name = "poor", .options = &memory_options[2]};
static const struct engine *const engines[] = {&memory_engine, &poor_engine, NULL};

static const struct {
	const char *text, *expected; /* the options, or the error after "!" */
} targets[] = {
	{"memory", "variant=textbook,batch=8"},
	{"memory:", "variant=textbook,batch=8"},
	{"memory:batch=008", "variant=textbook,batch=8"},
	{"memory:batch=1000,variant=hardened", "variant=hardened,batch=1000"},
	{"poor", ""},
	{"poor:batch=1", "!poor has no option \"batch\"; known are: none"},
	{"memori", "!there is no engine \"memori\"; known are: memory, poor"},
	{"memory:size=3", "!memory has no option \"size\"; known are: variant, batch"},
	{"memory:variant=hard", "!memory: variant=hard: expected one of textbook|hardened"},
	{"memory:variant=", "!memory: variant=: expected one of textbook|hardened"},
	{"memory:batch=0", "!memory: batch=0: expected a number from 1 to 1000"},
	{"memory:batch=18446744073709551617",
	 "!memory: batch=18446744073709551617: expected a number from 1 to 1000"},
	{"memory:batch", "!memory: expected batch=VALUE"},
	{"memory:batch=2,batch=3", "!memory: batch is given twice"},
	{"memory:mutant=memory/none",
	 "!memory has no planted bug \"memory/none\"; known are: none"},
	{"memory:mutant=wal/skip-sync",
	 "!memory has no planted bug \"wal/skip-sync\"; known are: none"},
	{"memory:mutant", "!memory: expected mutant=NAME"},
	{"memory:batch=2,", "!memory: expected an option after the last comma"},
};

START_TEST(a_target_is_an_engine_and_all_its_options_or_an_error_that_helps)
{
	struct target *target;
	struct err err = {0};
	struct buf text = {0};
	int code = target_parse(targets[_i].text, engines, &target, &err);
	if (code == 0)
		target_describe(target, &text);
	else
		buf_printf(&text, "!%s", err.text);
	ck_assert_str_eq(buf_text(&text), targets[_i].expected);
	ck_assert((code == 0) == (target != NULL));
	target_destroy(target);
	buf_finish(&text);
}
END_TEST

static const struct {
	const char *text, *expected;
} contracts[] = {
	{"each", "each acknowledged operation survives loss of power; losses are a suffix; "
		 "batches are atomic and durable"},
	{"every=8,kill", "all acknowledged operations but the last 7 survive the death of the "
			 "process only; losses are a suffix; batches are atomic and durable"},
	{"every=2,batch=none", "all acknowledged operations but the last survive loss of power; "
			       "losses are a suffix; nothing is promised of batches"},
	{"on-sync,no-prefix,batch=atomic",
	 "operations acknowledged before an acknowledged sync survive loss of power; losses have "
	 "no order; batches are atomic"},
	{"every=0", "!contract: every=0: expected a number from 1 to 999999999"},
	{"each,soon", "!contract: \"soon\": expected each, every=N, on-sync, power, kill, prefix, "
		      "no-prefix, batch=none|atomic|durable, stays or no-stays"},
	{"", "!contract: \"\": expected each, every=N, on-sync, power, kill, prefix, no-prefix, "
	     "batch=none|atomic|durable, stays or no-stays"},
	{"each,stays", "each acknowledged operation survives loss of power; losses are a suffix; "
		       "batches are atomic and durable; what a recovery has shown stays"},
};

START_TEST(a_contract_changes_as_its_words_say)
{
	struct engine_contract contract = {
		.ack = ENGINE_ACK_ON_SYNC, .prefix = true, .batch = ENGINE_BATCH_DURABLE};
	struct err err = {0};
	struct buf text = {0};
	if (contract_override(contracts[_i].text, &contract, &err) == 0) {
		contract_describe(&contract, &text);
	} else {
		buf_printf(&text, "!%s", err.text);
		ck_assert_int_eq(contract.ack, ENGINE_ACK_ON_SYNC);
	}
	ck_assert_str_eq(buf_text(&text), contracts[_i].expected);
	buf_finish(&text);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof *(table))

/* ---- fault points that are reachable ---- */

static const struct {
	const char *when;
	unsigned needs, done;
	bool reaches;
} reaches[] = {
	{NULL, 0, 0, true},
	{NULL, ENGINE_NEEDS_PUT, 0, false},
	{NULL, ENGINE_NEEDS_PUT, ENGINE_NEEDS_PUT | ENGINE_NEEDS_SYNC, true},
	{NULL, ENGINE_NEEDS_PUT | ENGINE_NEEDS_CRASH, ENGINE_NEEDS_PUT, false},
	{"variant=hardened", 0, 0, true},
	{"variant=textbook", 0, 0, false},
	{"variant=textbook|hardened", 0, 0, true},
	{"variant=hard", 0, 0, false},
	{"variant=hardened,batch=7", 0, 0, true},
	{"variant=hardened,batch=70", 0, 0, false},
	{"batch=8|7,variant=hardened", 0, 0, true},
	{"size=7", 0, 0, false},
	{"variant", 0, 0, false},
	{"batch>=7", 0, 0, true},
	{"batch>=8", 0, 0, false},
	{"batch<=7,variant=hardened", 0, 0, true},
	{"variant=hardened,batch<=6", 0, 0, false},
	{"batch>=x", 0, 0, false},
	{"batch>7", 0, 0, false},
	{"batch>=", 0, 0, false},
	{"batch>", 0, 0, false},
	{"variant>=1", 0, 0, false},
	{"batch<=6;batch>=8", 0, 0, false},
	{"batch<=6;variant=hardened,batch>=7", 0, 0, true},
	{"variant=hardened,batch=7;batch>=8", 0, 0, true},
};

START_TEST(a_fault_point_is_reachable_with_its_options_and_operations)
{
	struct engine_fault_point point = {"a/b/c", reaches[_i].when, reaches[_i].needs};
	struct target *target;
	struct err err;
	ck_assert_int_eq(target_parse("memory:variant=hardened,batch=7", engines, &target, &err),
			 0);
	ck_assert_int_eq(config_reaches(&target->config, &point, reaches[_i].done),
			 reaches[_i].reaches);
	target_destroy(target);
}
END_TEST

int main(void)
{
	TCase *cases = tcase_create("target");
	tcase_add_loop_test(cases, a_target_is_an_engine_and_all_its_options_or_an_error_that_helps,
			    0, ROWS(targets));
	tcase_add_loop_test(cases, a_contract_changes_as_its_words_say, 0, ROWS(contracts));
	tcase_add_loop_test(cases, a_fault_point_is_reachable_with_its_options_and_operations, 0,
			    ROWS(reaches));
	Suite *suite = suite_create("target");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
