/* Drivers as engines: what they say, how they are started and ended, and what becomes
 * of one that does not keep to the protocol.  The command line's tests have the rest. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/driver.h"
#include "adapters/driver_talk.h"
#include "adapters/program.h"
#include "area.h"
#include "lib_campaign.h"
#include "mem.h"
#include "target.h"

#define WAL  PYTHON " -S -E " SOURCES "/engines/drivers/wal.py"
#define ILL  PYTHON " -S -E " SOURCES "/tests/drivers/ill.py "
#define GOOD "powercut-driver 1 name=x ack=each against=power prefix=yes"

static struct area area;

static void in_area(void)
{
	struct err err;
	char parent[AREA_PATH_MAX];
	ck_assert_int_eq(area_choose(NULL, parent, &err), 0);
	ck_assert_msg(area_create(parent, &area, &err) == 0, "%s", err.text);
}

static void out_of_area(void)
{
	area_remove(&area);
	/* Whatever was started has ended, and was waited for. */
	ck_assert(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

/* ---- greetings ---- */

static void greets(const char *line, struct engine_contract expected, const char *can)
{
	struct driver_greeting g;
	struct engine_error error = {{0}};
	char text[32];
	ck_assert_msg(driver_parse_greeting(line, &g, &error) == 0, "%s: %s", line, error.text);
	ck_assert_int_eq(g.contract.ack, expected.ack);
	ck_assert_uint_eq(g.contract.every, expected.every ? expected.every : 1);
	ck_assert_int_eq(g.contract.against, expected.against);
	ck_assert_int_eq(g.contract.prefix, expected.prefix);
	ck_assert_int_eq(g.contract.batch, expected.batch);
	ck_assert_int_eq(g.contract.stays, expected.stays);
	snprintf(text, sizeof text, "%s%s%s%s", g.batch ? "b" : "", g.sync ? "s" : "",
		 g.maintain ? "m" : "", g.verify ? "v" : "");
	ck_assert_str_eq(text, can);
}

START_TEST(a_greeting_is_a_contract_and_abilities)
{
	greets(GOOD, (struct engine_contract){.prefix = true}, "");
	greets("powercut-driver 1 ack=every:8 against=kill prefix=no name=a.B-c_9",
	       (struct engine_contract){ENGINE_ACK_EVERY, 8, ENGINE_AGAINST_KILL}, "");
	greets("powercut-driver 1 name=x  ack=on-sync against=power prefix=no batch=durable "
	       "stays=yes can=verify,batch,maintain,sync",
	       (struct engine_contract){
		       .ack = ENGINE_ACK_ON_SYNC, .batch = ENGINE_BATCH_DURABLE, .stays = true},
	       "bsmv");
	greets(GOOD " batch=none stays=no can=", (struct engine_contract){.prefix = true}, "");
	greets(GOOD " batch=atomic can=batch",
	       (struct engine_contract){.prefix = true, .batch = ENGINE_BATCH_ATOMIC}, "b");
}
END_TEST

static const struct {
	const char *line, *pattern;
} bad_greetings[] = {
	{"", "begins with \"\", expected \"powercut-driver 1 "},
	{"powercut-driver", "begins with \"powercut-driver\""},
	{"powercut-driver x", "version \"x\", expected 1"},
	{"powercut-driver 10 name=x", "version \"10\", expected 1"},
	{"powercut-driver 1", "name= is missing"},
	{"powercut-driver 1 name=x against=power prefix=no", "ack= is missing"},
	{"powercut-driver 1 name=x ack=each prefix=no", "against= is missing"},
	{"powercut-driver 1 name=x ack=each against=kill", "prefix= is missing"},
	{GOOD " ack=every:0", "\"ack=every:0\": expected name=, ack="},
	{GOOD " ack=every:1000000000", "\"ack=every:1000000000\": expected"},
	{GOOD " ack=every:8x", "\"ack=every:8x\": expected"},
	{GOOD " each", "\"each\": expected"},
	{GOOD " name=", "name=: expected 1 to 40 letters"},
	{GOOD " name=12345678901234567890123456789012345678901", "expected 1 to 40 letters"},
	{GOOD " can=sync,,batch", "can=...: expected some of"},
	{GOOD " can=scan", "can=...scan: expected some of"},
	{GOOD " batch=durable can=sync", "it promises batches, but batch is not in can="},
};

START_TEST(a_wrong_greeting_is_refused_by_the_word)
{
	struct driver_greeting g;
	struct engine_error error = {{0}};
	ck_assert_int_eq(driver_parse_greeting(bad_greetings[_i].line, &g, &error), -1);
	ck_assert_msg(strstr(error.text, bad_greetings[_i].pattern), "\"%s\": %s",
		      bad_greetings[_i].line, error.text);
}
END_TEST

/* ---- replies ---- */

static void hears(struct program *p, enum driver_reply_kind kind, const char *value,
		  const char *did)
{
	struct driver_reply reply;
	program_next(p);
	driver_hear(p, 5000, &reply);
	ck_assert_msg(reply.kind == kind, "%s: %u, expected %u", reply.did, reply.kind, kind);
	ck_assert_uint_eq(reply.value.length, strlen(value));
	ck_assert_mem_eq(reply.value.length ? reply.value.data : "", value, strlen(value));
	ck_assert_str_eq(reply.did, did);
}

static const struct {
	const char *bytes; /* as printf takes them */
	enum driver_reply_kind kind;
	const char *value, *did;
} replies[] = {
	{"ok\\n", DRIVER_OK, "", "said \"ok\""},
	{"none\\n", DRIVER_NONE, "", "said \"none\""},
	{"value 5\\ngreen\\n", DRIVER_VALUE, "green", "said \"value 5\""},
	{"value 0\\n\\n", DRIVER_VALUE, "", "said \"value 0\""},
	{"value 3\\nok\\n\\n", DRIVER_VALUE, "ok\n", "said \"value 3\""},
	{"item 1 2\\nk\\nvv\\n", DRIVER_ITEM, "vv", "said \"item 1 2\""},
	{"error it is full\\n", DRIVER_ERROR, "", "said \"error it is full\""},
	{"error\\n", DRIVER_ERROR, "", "said \"error\""},
	{"ok \\n", DRIVER_WRONG, "", "said \"ok \""},
	{"ok\\0\\n", DRIVER_WRONG, "", "said \"ok?\""},
	{"ok\\r\\n", DRIVER_WRONG, "", "said \"ok?\""},
	{"value\\n", DRIVER_WRONG, "", "said \"value\""},
	{"value -1\\n", DRIVER_WRONG, "", "said \"value -1\""},
	{"value 1 2\\n", DRIVER_WRONG, "", "said \"value 1 2\""},
	{"value 99999999999999999999999\\n", DRIVER_WRONG, "",
	 "said \"value 99999999999999999999999\""},
	{"item 5\\n", DRIVER_WRONG, "", "said \"item 5\""},
	{"errors\\n", DRIVER_WRONG, "", "said \"errors\""},
	{"ok", DRIVER_WRONG, "", "said \"ok\" and ended with exit status 0"},
	{"", DRIVER_WRONG, "", "ended with exit status 0"},
	{"value 5\\ngr", DRIVER_WRONG, "",
	 "said \"value 5\", then not the 6 bytes that have to follow, but ended with exit status "
	 "0"},
	{"value 5\\ngreen!", DRIVER_WRONG, "green",
	 "said \"value 5\", but there is no newline behind the 5 bytes of the value"},
	{"item 1 1\\nkxv\\n", DRIVER_WRONG, "",
	 "said \"item 1 1\", but there is no newline behind the 1 bytes of the key"},
};

START_TEST(a_reply_is_what_the_protocol_has)
{
	struct engine_error error;
	char *command = mem_printf("printf '%s'", replies[_i].bytes);
	struct program *p = program_start(command, &error);
	ck_assert_ptr_nonnull(p);
	hears(p, replies[_i].kind, replies[_i].value, replies[_i].did);
	program_destroy(p);
	free(command);
}
END_TEST

/* ---- programs ---- */

static void says(const char *command, const char *expected)
{
	struct engine_error error;
	const char *line;
	struct program *p = program_start(command, &error);
	ck_assert_msg(p, "%s: %s", command, error.text);
	ck_assert_int_eq(program_line(p, 5000, &line), PROGRAM_HEARD);
	ck_assert_str_eq(line, expected);
	program_destroy(p);
}

START_TEST(a_command_is_words_or_for_a_shell)
{
	struct engine_error error;
	says("echo a  b\tc", "a b c");
	says("echo 'a  b'", "a  b");
	says("echo a && exit 1", "a");
	says("X=5 sh -c 'echo $X'", "5");
	ck_assert_ptr_null(program_start("/no/such/program", &error));
	ck_assert_str_eq(error.text, "cannot be started: No such file or directory");
	ck_assert_ptr_null(program_start("", &error));
	ck_assert_ptr_null(program_start("/etc/passwd", &error));
	ck_assert_str_eq(error.text, "cannot be started: Permission denied");
}
END_TEST

START_TEST(a_program_that_has_ended_can_be_talked_to)
{
	static char zeros[1 << 20];
	struct engine_error error;
	char text[80];
	bool extra;
	struct program *p = program_start("exec <&-; kill -9 $$", &error);
	program_ending(p, text, sizeof text);
	ck_assert_str_eq(text, "died of signal 9 (Killed)");
	/* No signal is raised by it. */
	signal(SIGPIPE, SIG_DFL);
	ck_assert(!program_send(p, zeros, sizeof zeros, 5000));
	ck_assert(program_finish(p, 5000, &extra));
	ck_assert(!extra);
	program_destroy(p);
}
END_TEST

START_TEST(what_a_program_started_ends_with_it)
{
	struct engine_error error;
	const char *line;
	struct program *p = program_start("sleep 100 & echo $!; sleep 100 & sleep 100", &error);
	ck_assert_int_eq(program_line(p, 5000, &line), PROGRAM_HEARD);
	pid_t pid = (pid_t)strtol(line, NULL, 10);
	ck_assert_int_eq(kill(pid, 0), 0);
	program_destroy(p);
	ck_assert(kill(pid, 0) < 0 && errno == ESRCH);
	int reaper = -1;
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	ck_assert_int_eq(reaper, 0);
}
END_TEST

START_TEST(nothing_waits_longer_than_it_may)
{
	static char zeros[1 << 20];
	struct engine_error error;
	const char *line, *bytes;
	bool extra;
	struct program *p = program_start("echo half; printf rest; exec sleep 100", &error);
	ck_assert_int_eq(program_line(p, 5000, &line), PROGRAM_HEARD);
	ck_assert_int_eq(program_line(p, 50, &line), PROGRAM_SILENT);
	ck_assert_str_eq(line, "rest");
	ck_assert_int_eq(program_bytes(p, 1, 50, &bytes), PROGRAM_SILENT);
	ck_assert(!program_send(p, zeros, sizeof zeros, 50));
	ck_assert(!program_finish(p, 50, &extra));
	program_destroy(p);
}
END_TEST

/* ---- engines ---- */

static struct target *make(const char *command)
{
	struct target *target;
	struct err err;
	char *spec = driver_target(command);
	ck_assert_msg(target_parse(spec, engine_table, &target, &err) == 0, "%s", err.text);
	free(spec);
	return target;
}

START_TEST(a_command_survives_as_an_option)
{
	static const char *const commands[] = {GOOD, "100%, 5:6=7,%41\n\t\x7f\xc3\xa9"};
	for (size_t i = 0; i < 2; i++) {
		char *command = mem_printf("echo '" GOOD "'; : '%s'", commands[i]);
		struct target *target = make(command), *again;
		struct buf name = {0}, options = {0};
		struct err err;
		target_canonical(target, &name);
		ck_assert_str_eq(buf_text(&name), "driver:x");
		/* As campaigns store it, and read it again. */
		buf_printf(&options, "%s:", target->row->name);
		target_describe(target, &options);
		ck_assert_int_eq(target_parse(buf_text(&options), engine_table, &again, &err), 0);
		ck_assert_str_eq(again->engine->summary, command);
		target_destroy(target);
		target_destroy(again);
		buf_finish(&name);
		buf_finish(&options);
		free(command);
	}
}
END_TEST

static const struct engine_bytes odd = {"\0\n\xff,%", 5}, empty = {"", 0}, one = {"1", 1};

struct seen {
	size_t n, bytes;
	bool stop;
};

static int count(void *arg, struct engine_bytes key, struct engine_bytes value)
{
	struct seen *seen = arg;
	seen->n++;
	seen->bytes += key.length + value.length;
	return seen->stop ? -1 : 0;
}

START_TEST(a_driver_is_an_engine)
{
	struct target *target = make(LOG);
	const struct engine *e = target->engine;
	struct engine_error error = {{0}};
	struct engine_bytes value, large = {mem_alloc(1, 300000), 300000};
	struct engine_change changes[] = {
		{one, large, false}, {odd, empty, true}, {empty, one, false}};
	struct seen seen = {0}, stopped = {.stop = true};
	ck_assert(e->batch && e->sync && !e->compact && !e->verify);
	for (int round = 0; round < 2; round++) {
		void *store = e->open(area.path, &target->config, &error);
		ck_assert_msg(store, "%s", error.text);
		ck_assert_int_eq(e->get(store, one, &value, &error), round);
		ck_assert_int_eq(e->put(store, odd, empty, &error), 0);
		ck_assert_int_eq(e->get(store, odd, &value, &error), 1);
		ck_assert_uint_eq(value.length, 0);
		ck_assert_int_eq(e->batch(store, changes, 3, &error), 0);
		ck_assert_int_eq(e->get(store, odd, &value, &error), 0);
		ck_assert_int_eq(e->get(store, one, &value, &error), 1);
		ck_assert_uint_eq(value.length, large.length);
		ck_assert_mem_eq(value.data, large.data, large.length);
		ck_assert_int_eq(e->scan(store, count, &stopped, &error), -1);
		ck_assert_uint_eq(stopped.n, (size_t)round + 1);
		ck_assert_int_eq(e->scan(store, count, &seen, &error), 0);
		ck_assert_int_eq(e->sync(store, &error), 0);
		ck_assert_int_eq(e->del(store, odd, &error), 0);
		ck_assert_str_eq(error.text, "");
		if (round)
			e->abandon(store);
		else
			ck_assert_msg(e->close(store, &error) == 0, "%s", error.text);
	}
	ck_assert_uint_eq(seen.n, 4);
	ck_assert_uint_eq(seen.bytes, 2 * (1 + large.length + 1));
	free((void *)(uintptr_t)large.data);
	target_destroy(target);
}
END_TEST

START_TEST(an_error_is_not_the_end)
{
	struct target *target = make(ILL "refuses");
	const struct engine *e = target->engine;
	struct engine_error error = {{0}};
	struct engine_bytes value;
	void *store = e->open(area.path, &target->config, &error);
	ck_assert_int_eq(e->put(store, one, one, &error), -1);
	ck_assert_str_eq(error.text, "no space for this");
	ck_assert_int_eq(e->get(store, odd, &value, &error), 0);
	ck_assert_int_eq(e->close(store, &error), 0);
	ck_assert_ptr_null(e->open("/no/such/directory", &target->config, &error));
	ck_assert_msg(strstr(error.text, "No such file"), "%s", error.text);
	target_destroy(target);
}
END_TEST

START_TEST(a_broken_protocol_is_the_end)
{
	static const char text[] =
		"to \"get 1\" the driver died of signal 11 (Segmentation fault), "
		"expected \"value LENGTH\", \"none\" or \"error TEXT\"";
	struct target *target = make(ILL "falls");
	const struct engine *e = target->engine;
	struct engine_error error = {{0}};
	struct engine_bytes value;
	void *store = e->open(area.path, &target->config, &error);
	ck_assert_int_eq(e->put(store, one, one, &error), 0);
	ck_assert_int_eq(e->get(store, one, &value, &error), -1);
	ck_assert_str_eq(error.text, text);
	error.text[0] = '\0';
	ck_assert_int_eq(e->sync(store, &error), -1);
	ck_assert_str_eq(error.text, text);
	ck_assert_int_eq(e->close(store, &error), -1);
	ck_assert_str_eq(error.text, text);
	target_destroy(target);
}
END_TEST

START_TEST(a_driver_is_the_same_each_time)
{
	struct target *target = make(ILL "fickle");
	struct engine_error error = {{0}};
	ck_assert_ptr_null(target->engine->open(area.path, &target->config, &error));
	ck_assert_str_eq(error.text, "the driver greets differently each time");
	target_destroy(target);
}
END_TEST

/* ---- campaigns ---- */

START_TEST(campaigns_of_a_driver_are_the_same)
{
	char *all[2], *spec = driver_target(WAL);
	for (uint32_t i = 0; i < 2; i++) {
		struct campaign c;
		campaign_init(&c, spec, "ext4 posix-dir");
		c.options.workload.ops = 12;
		c.options.states_max = 40;
		c.options.nested_max = 3;
		c.options.jobs = i + 1;
		campaign_go(&c);
		ck_assert_int_eq(c.result.exit_code, 1);
		all[i] = campaign_everything(&c);
		campaign_end(&c);
	}
	campaign_assert_same(all[0], all[1]);
	ck_assert_msg(strstr(all[0], "its directory was never synced"), "%s", all[0]);
	free(all[0]);
	free(all[1]);
	free(spec);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("driver");
	TCase *talk = tcase_create("what they say");
	tcase_add_test(talk, a_greeting_is_a_contract_and_abilities);
	tcase_add_loop_test(talk, a_wrong_greeting_is_refused_by_the_word, 0,
			    sizeof bad_greetings / sizeof *bad_greetings);
	tcase_add_loop_test(talk, a_reply_is_what_the_protocol_has, 0,
			    sizeof replies / sizeof *replies);
	suite_add_tcase(suite, talk);
	TCase *program = tcase_create("programs");
	tcase_set_timeout(program, 60);
	tcase_add_test(program, a_command_is_words_or_for_a_shell);
	tcase_add_test(program, a_program_that_has_ended_can_be_talked_to);
	tcase_add_test(program, what_a_program_started_ends_with_it);
	tcase_add_test(program, nothing_waits_longer_than_it_may);
	suite_add_tcase(suite, program);
	TCase *engine = tcase_create("engines");
	tcase_set_timeout(engine, 60);
	tcase_add_checked_fixture(engine, in_area, out_of_area);
	tcase_add_test(engine, a_command_survives_as_an_option);
	tcase_add_test(engine, a_driver_is_an_engine);
	tcase_add_test(engine, an_error_is_not_the_end);
	tcase_add_test(engine, a_broken_protocol_is_the_end);
	tcase_add_test(engine, a_driver_is_the_same_each_time);
	suite_add_tcase(suite, engine);
	TCase *campaign = tcase_create("campaigns");
	tcase_set_timeout(campaign, 300);
	tcase_add_test(campaign, campaigns_of_a_driver_are_the_same);
	suite_add_tcase(suite, campaign);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
