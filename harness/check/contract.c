#include "contract.h"

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
}

/* One word that needs no number: which field it sets, to what. */
enum field { FIELD_ACK, FIELD_AGAINST, FIELD_PREFIX, FIELD_BATCH };
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

static int parse_word(const char *text, size_t n, struct engine_contract *contract, struct err *err)
{
	if (n >= 6 && memcmp(text, "every=", 6) == 0)
		return parse_every(text + 6, n - 6, contract, err);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (n == strlen(words[i].text) && memcmp(text, words[i].text, n) == 0) {
			set_field(contract, &words[i]);
			return ERR_OK;
		}
	}
	return err_set(err, ERR_USAGE,
		       "contract: \"%.*s\": expected each, every=N, on-sync, power, kill, prefix, "
		       "no-prefix or batch=none|atomic|durable",
		       (int)n, text);
}

int contract_override(const char *text, struct engine_contract *contract, struct err *err)
{
	struct engine_contract changed = *contract;
	for (const char *word = text;;) {
		size_t n = strcspn(word, ",");
		int code = parse_word(word, n, &changed, err);
		if (code)
			return code;
		if (word[n] == '\0')
			break;
		word += n + 1;
	}
	*contract = changed;
	return ERR_OK;
}
