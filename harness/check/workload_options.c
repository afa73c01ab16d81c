/* What a workload is made of, as text and as numbers. */
#include "workload.h"

#include <stddef.h>
#include <string.h>

enum { WEIGHT_MAX = 1000000 };

static const char *const op_names[] = {
#define X(constant, name, weight) [OP_##constant] = name,
	OP_TYPES(X)
#undef X
};

static const uint32_t default_weights[] = {
#define X(constant, name, weight) [OP_##constant] = weight,
	OP_TYPES(X)
#undef X
};

/* An option that is a number, or a range of two. */
struct row {
	const char *name;
	size_t low, high; /* offsets into the options; the same for a number */
	uint32_t low_default, high_default;
	uint32_t min, max; /* bounds of either; inclusive */
};

#define NUMBER(field)                                                                              \
	offsetof(struct workload_options, field), offsetof(struct workload_options, field)
#define RANGE(least, most)                                                                         \
	offsetof(struct workload_options, least), offsetof(struct workload_options, most)

/* In the order in which they are described. */
static const struct row rows[] = {
	{"ops", NUMBER(ops), 120, 120, 1, 1000000},
	{"keys", NUMBER(keys), 12, 12, 1, 100000},
	{"values", RANGE(value_min, value_max), 24, 200, VALUE_BYTES_MIN, 1 << 24},
	{"batches", RANGE(batch_min, batch_max), 2, 40, 1, 10000},
	{"reuse", NUMBER(reuse), 70, 70, 1, 100},
	{"empty", NUMBER(empty), 0, 0, 0, 100},
};
enum { ROWS = sizeof rows / sizeof *rows, MIX_AFTER = 2 /* rows described before the mix */ };

static bool is_range(const struct row *row)
{
	return row->low != row->high;
}

static uint32_t *field(struct workload_options *options, size_t offset)
{
	return (uint32_t *)((char *)options + offset);
}

const char *op_type_name(enum op_type type)
{
	return type < OP_TYPES_COUNT ? op_names[type] : "?";
}

/* Reads a decimal number up to max that ends at `end`. */
static bool parse_number(const char *at, const char *end, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;
	if (at == end)
		return false;
	for (; at < end; at++) {
		if (*at < '0' || *at > '9')
			return false;
		v = v * 10 + (uint64_t)(*at - '0');
		if (v > max)
			return false;
	}
	*out = (uint32_t)v;
	return true;
}

static bool word_is(const char *word, size_t n, const char *name)
{
	return n == strlen(name) && memcmp(word, name, n) == 0;
}

static int parse_weight(const char *word, size_t n, struct workload_options *options,
			struct err *err)
{
	const char *equals = memchr(word, '=', n);
	size_t name_length = equals ? (size_t)(equals - word) : n;
	int type = 0;
	while (type < OP_TYPES_COUNT && !word_is(word, name_length, op_names[type]))
		type++;
	if (type == OP_TYPES_COUNT)
		return err_set(err, ERR_USAGE,
			       "\"%.*s\" is no operation: expected put, delete, batch, sync, "
			       "compact or reopen",
			       (int)name_length, word);
	uint32_t weight = default_weights[type];
	if (equals && !parse_number(equals + 1, word + n, WEIGHT_MAX, &weight))
		return err_set(err, ERR_USAGE, "\"%.*s\": expected a weight from 0 to %d", (int)n,
			       word, WEIGHT_MAX);
	options->weight[type] = weight;
	return ERR_OK;
}

int workload_parse_mix(const char *text, struct workload_options *options, struct err *err)
{
	struct workload_options parsed = *options;
	memset(parsed.weight, 0, sizeof parsed.weight);
	parsed.mixed = true;
	for (const char *word = text;;) {
		size_t n = strcspn(word, ",");
		int code = parse_weight(word, n, &parsed, err);
		if (code)
			return code;
		if (word[n] == '\0')
			break;
		word += n + 1;
	}
	*options = parsed;
	return ERR_OK;
}

static int parse_row(const struct row *row, const char *value, size_t n,
		     struct workload_options *options, struct err *err)
{
	const char *end = value + n, *dash = is_range(row) ? memchr(value, '-', n) : NULL;
	uint32_t low, high;
	bool good = parse_number(value, dash ? dash : end, row->max, &low);
	high = low;
	if (good && dash)
		good = parse_number(dash + 1, end, row->max, &high);
	if (!good || low < row->min || high < low)
		return err_set(err, ERR_USAGE, "%s=%.*s: expected %s from %u to %u", row->name,
			       (int)n, value, is_range(row) ? "a range such as 30-40" : "a number",
			       row->min, row->max);
	*field(options, row->low) = low;
	*field(options, row->high) = high;
	return ERR_OK;
}

static int parse_word(const char *word, size_t n, struct workload_options *options, struct err *err)
{
	const char *equals = memchr(word, '=', n);
	size_t name_length = equals ? (size_t)(equals - word) : n;
	const char *value = equals ? equals + 1 : word + n;
	size_t value_length = (size_t)(word + n - value);
	if (word_is(word, name_length, "mix")) {
		char mix[512];
		if (value_length >= sizeof mix)
			return err_set(err, ERR_USAGE, "mix: too long");
		memcpy(mix, value, value_length);
		mix[value_length] = '\0';
		return workload_parse_mix(mix, options, err);
	}
	for (int i = 0; i < ROWS; i++)
		if (word_is(word, name_length, rows[i].name))
			return parse_row(&rows[i], value, value_length, options, err);
	return err_set(err, ERR_USAGE,
		       "\"%.*s\" is no option of a workload: expected ops, keys, mix, values, "
		       "batches, reuse or empty",
		       (int)name_length, word);
}

int workload_parse(const char *text, struct workload_options *options, struct err *err)
{
	struct workload_options parsed = *options;
	for (const char *word = text + strspn(text, " "); *word; word += strspn(word, " ")) {
		size_t n = strcspn(word, " ");
		int code = parse_word(word, n, &parsed, err);
		if (code)
			return code;
		word += n;
	}
	*options = parsed;
	return ERR_OK;
}

static int expand_row(const struct row *row, struct workload_options *options, struct err *err)
{
	uint32_t *low = field(options, row->low), *high = field(options, row->high);
	bool low_given = *low != 0, high_given = *high != 0;
	if (!low_given)
		*low = row->low_default;
	if (!high_given)
		*high = row->high_default;
	if (*low > *high && !low_given)
		*low = *high;
	if (*low > *high && !high_given)
		*high = *low;
	if (*low < row->min || *high > row->max || *low > *high)
		return err_set(err, ERR_USAGE, "%s: %u to %u is not within %u to %u", row->name,
			       *low, *high, row->min, row->max);
	return ERR_OK;
}

int workload_expand(struct workload_options *options, struct err *err)
{
	if (!options->mixed)
		memcpy(options->weight, default_weights, sizeof default_weights);
	options->mixed = true;
	uint64_t total = 0;
	for (int i = 0; i < OP_TYPES_COUNT; i++) {
		if (options->weight[i] > WEIGHT_MAX)
			return err_set(err, ERR_USAGE, "mix: the weight of %s is above %d",
				       op_names[i], WEIGHT_MAX);
		total += options->weight[i];
	}
	if (total == 0)
		return err_set(err, ERR_USAGE, "mix: no operation has a weight above 0");
	for (int i = 0; i < ROWS; i++) {
		int code = expand_row(&rows[i], options, err);
		if (code)
			return code;
	}
	return ERR_OK;
}

void workload_describe(const struct workload_options *options, struct buf *out)
{
	struct workload_options copy = *options; /* field() is for writing too */
	for (int i = 0; i < ROWS; i++) {
		if (i == MIX_AFTER) {
			const char *comma = "";
			buf_string(out, " mix=");
			for (int t = 0; t < OP_TYPES_COUNT; t++) {
				if (copy.weight[t] == 0)
					continue;
				buf_printf(out, "%s%s=%u", comma, op_names[t], copy.weight[t]);
				comma = ",";
			}
		}
		buf_printf(out, "%s%s=%u", i ? " " : "", rows[i].name, *field(&copy, rows[i].low));
		if (is_range(&rows[i]))
			buf_printf(out, "-%u", *field(&copy, rows[i].high));
	}
}
