#include "contract.h"

#include <stdio.h>
#include <string.h>

static void describe_ack(const struct engine_contract *contract, struct buf *out)
{
	switch (contract->ack) {
	case ENGINE_ACK_EACH:
		buf_string(out, "each acknowledged operation survives ");
		break;
	case ENGINE_ACK_EVERY:
		if (contract->every <= 1)
			buf_string(out, "each acknowledged operation survives ");
		else if (contract->every == 2)
			buf_string(out, "all acknowledged operations but the last survive ");
		else
			buf_printf(out, "all acknowledged operations but the last %u survive ",
				   contract->every - 1);
		break;
	case ENGINE_ACK_ON_SYNC:
		buf_string(out, "operations acknowledged before an acknowledged sync survive ");
		break;
	}
}

void contract_describe(const struct engine_contract *contract, struct buf *out)
{
	describe_ack(contract, out);
	buf_string(out, contract->against == ENGINE_AGAINST_KILL ? "the death of the process only"
								 : "loss of power");
	buf_string(out, contract->prefix ? "; losses are a suffix" : "; losses have no order");
	switch (contract->batch) {
	case ENGINE_BATCH_NONE:
		buf_string(out, "; nothing is promised of batches");
		break;
	case ENGINE_BATCH_ATOMIC:
		buf_string(out, "; batches are atomic");
		break;
	case ENGINE_BATCH_DURABLE:
		buf_string(out, "; batches are atomic and durable");
		break;
	}
	if (contract->stays)
		buf_string(out, "; what a recovery has shown stays");
}

/* The number of EVERY that a description names, 1 where it names none. */
static uint32_t described_every(const char *text)
{
	static const char one[] = "all acknowledged operations but the last survive ";
	uint32_t but;
	if (sscanf(text, "all acknowledged operations but the last %u survive ", &but) == 1)
		return but + 1;
	return strncmp(text, one, sizeof one - 1) == 0 ? 2 : 1;
}

static bool describes(const char *text, const struct engine_contract *contract)
{
	struct buf words = {0};
	contract_describe(contract, &words);
	bool same = strcmp(buf_text(&words), text) == 0;
	buf_finish(&words);
	return same;
}

/* There are few contracts: the one that has this description is the one. */
int contract_parse(const char *text, struct engine_contract *contract, struct err *err)
{
	for (int n = 0; n < 3 * 2 * 2 * 3 * 2; n++) {
		*contract = (struct engine_contract){
			.ack = (enum engine_ack)(n % 3),
			.every = described_every(text),
			.against = (enum engine_against)(n / 3 % 2),
			.prefix = n / 6 % 2,
			.batch = (enum engine_batch)(n / 12 % 3),
			.stays = n / 36,
		};
		if (describes(text, contract))
			return ERR_OK;
	}
	return err_set(err, ERR_CORRUPT, "\"%s\" describes no contract", text);
}

/* One word that needs no number: which field it sets, to what. */
enum field { FIELD_ACK, FIELD_AGAINST, FIELD_PREFIX, FIELD_BATCH, FIELD_STAYS };
static const char *const field_names[] = {"what an acknowledgement means", "what it holds against",
					  "the order of losses", "what batches are",
					  "whether a recovery's contents stay"};
static const struct word {
	const char *text;
	enum field field;
	int value;
} words[] = {
	{"each", FIELD_ACK, ENGINE_ACK_EACH},
	{"on-sync", FIELD_ACK, ENGINE_ACK_ON_SYNC},
	{"power", FIELD_AGAINST, ENGINE_AGAINST_POWER},
	{"kill", FIELD_AGAINST, ENGINE_AGAINST_KILL},
	{"prefix", FIELD_PREFIX, true},
	{"no-prefix", FIELD_PREFIX, false},
	{"batch=none", FIELD_BATCH, ENGINE_BATCH_NONE},
	{"batch=atomic", FIELD_BATCH, ENGINE_BATCH_ATOMIC},
	{"batch=durable", FIELD_BATCH, ENGINE_BATCH_DURABLE},
	{"stays", FIELD_STAYS, true},
	{"no-stays", FIELD_STAYS, false},
};

static void set_field(struct engine_contract *contract, const struct word *word)
{
	switch (word->field) {
	case FIELD_ACK:
		contract->ack = (enum engine_ack)word->value;
		break;
	case FIELD_AGAINST:
		contract->against = (enum engine_against)word->value;
		break;
	case FIELD_PREFIX:
		contract->prefix = word->value;
		break;
	case FIELD_BATCH:
		contract->batch = (enum engine_batch)word->value;
		break;
	case FIELD_STAYS:
		contract->stays = word->value;
		break;
	}
}

static int parse_every(const char *digits, size_t n, struct engine_contract *contract,
		       struct err *err)
{
	uint64_t every = 0;
	size_t i = 0;
	while (i < n && i < 9 && digits[i] >= '0' && digits[i] <= '9')
		every = every * 10 + (uint64_t)(digits[i++] - '0');
	if (i < n || every == 0)
		return err_set(err, ERR_USAGE,
			       "contract: every=%.*s: expected a number from 1 to 999999999",
			       (int)n, digits);
	contract->ack = ENGINE_ACK_EVERY;
	contract->every = (uint32_t)every;
	return ERR_OK;
}

/* The field that the word is about goes to *field. */
static int parse_word(const char *text, size_t n, struct engine_contract *contract,
		      enum field *field, struct err *err)
{
	*field = FIELD_ACK;
	if (n >= 6 && memcmp(text, "every=", 6) == 0)
		return parse_every(text + 6, n - 6, contract, err);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (n == strlen(words[i].text) && memcmp(text, words[i].text, n) == 0) {
			set_field(contract, &words[i]);
			*field = words[i].field;
			return ERR_OK;
		}
	}
	return err_set(err, ERR_USAGE,
		       "contract: \"%.*s\": expected each, every=N, on-sync, power, kill, prefix, "
		       "no-prefix, batch=none|atomic|durable, stays or no-stays",
		       (int)n, text);
}

int contract_override(const char *text, struct engine_contract *contract, struct err *err)
{
	struct engine_contract changed = *contract;
	unsigned set = 0; /* fields, a bit each */
	for (const char *word = text;;) {
		size_t n = strcspn(word, ",");
		enum field field;
		int code = parse_word(word, n, &changed, &field, err);
		if (code)
			return code;
		if (set >> field & 1)
			return err_set(err, ERR_USAGE, "contract: \"%.*s\": %s is said twice",
				       (int)n, word, field_names[field]);
		set |= 1u << field;
		if (word[n] == '\0')
			break;
		word += n + 1;
	}
	*contract = changed;
	return ERR_OK;
}

int contract_check(const struct engine_contract *contract, const char *engine, struct err *err)
{
	const struct {
		const char *what;
		unsigned value, max;
	} members[] = {
		{"ack", contract->ack, ENGINE_ACK_ON_SYNC},
		{"against", contract->against, ENGINE_AGAINST_KILL},
		{"batch", contract->batch, ENGINE_BATCH_DURABLE},
	};
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (members[i].value > members[i].max)
			return err_set(err, ERR_USAGE,
				       "%s: its contract has %s=%u, expected one of engine.h's "
				       "(0 to %u)",
				       engine, members[i].what, members[i].value, members[i].max);
	if (contract->ack == ENGINE_ACK_EVERY && contract->every == 0)
		return err_set(err, ERR_USAGE, "%s: its contract has every=0, expected at least 1",
			       engine);
	return ERR_OK;
}
