/* Violations in words. */
#include "judge.h"

#include "judge_inside.h"

/* "put #23 (write 17)", "delete #12", "batch #5 (write 31)", "batch #5 (a delete)" */
static void print_item(const struct view *view, uint32_t item, struct buf *out)
{
	const struct history_item *it = judge_item(view, item);
	const struct history_change *c = judge_change(view, it->change);
	buf_printf(out, "%s #%u", op_type_name(c->type), c->op);
	if (it->write)
		buf_printf(out, " (write %u)", it->write);
	else if (c->type == OP_BATCH)
		buf_string(out, " (a delete)");
}

static void print_key(const struct view *view, uint32_t key, struct buf *out)
{
	history_print_key(view->judge->history->keys[key], out);
}

/* What was found of a key, to follow "found" or "holds". */
static void print_found(const struct view *view, uint32_t key, struct buf *out)
{
	const struct history *h = view->judge->history;
	uint32_t write = view->contents->write[key];
	if (write == CONTENTS_ABSENT) {
		buf_string(out, "nothing");
	} else if (judge_key_state(view, key) == KEY_INVENTED) {
		buf_string(out, "a value that was never written to it");
	} else {
		uint32_t item = h->item_of_write[write - 1];
		const struct history_change *c = judge_change(view, h->items[item].change);
		if (h->items[item].value_length == 0)
			buf_printf(out, "the empty value, as of %s #%u,", op_type_name(c->type),
				   c->op);
		else
			buf_printf(out, "write %u of %s #%u", write, op_type_name(c->type), c->op);
	}
}

/* Where p exists, says from which change on all is lost. */
static void print_suffix(const struct view *view, struct buf *out)
{
	uint32_t units;
	if (!judge_prefix(view, &units))
		return;
	const struct history_change *c = judge_change(view, judge_changes(view, units) + 1);
	buf_printf(out, "the contents are those just before %s #%u", op_type_name(c->type), c->op);
}

static void explain_lost(const struct view *view, enum rule rule, struct buf *out)
{
	uint32_t n = 0;
	for (uint32_t key = 0; key < view->contents->n_keys; key++) {
		if (judge_key_lost(view, key) != rule || n++)
			continue;
		print_key(view, key, out);
		buf_string(out, ": ");
		print_item(view, judge_last_durable(view, key), out);
		buf_string(out, " was acknowledged as durable, but recovery found ");
		print_found(view, key, out);
		buf_string(out, " instead");
	}
	if (n > 1)
		buf_printf(out, ", and so for %u more key%s", n - 1, n > 2 ? "s" : "");
	size_t before = out->len;
	if (n)
		buf_string(out, "; ");
	size_t after = out->len;
	print_suffix(view, out);
	if (out->len == after)
		out->len = before;
	else if (n == 0)
		buf_printf(out, ", though all up to %s #%u was acknowledged as durable",
			   op_type_name(judge_change(view, view->bounds->durable)->type),
			   judge_change(view, view->bounds->durable)->op);
}

static void explain_invented(const struct view *view, struct buf *out)
{
	if (view->contents->invented) {
		buf_string(out, view->contents->text);
		if (view->contents->invented > 1)
			buf_printf(out, ", and so for %u more", view->contents->invented - 1);
		return;
	}
	for (uint32_t key = 0; key < view->contents->n_keys; key++) {
		enum key_state state = judge_key_state(view, key);
		if (state == KEY_EXPLAINED)
			continue;
		print_key(view, key, out);
		buf_string(out, " holds ");
		print_found(view, key, out);
		if (state == KEY_FUTURE)
			buf_string(out, ", which had not begun");
		return;
	}
}

/* What ended the time in which the key could look as it does, for "…, which":
 * the first item after its newest explanation that did not fail. */
static uint32_t overwriter(const struct view *view, uint32_t key)
{
	const struct judge *j = view->judge;
	uint32_t newest = judge_newest(view, key)->item;
	for (uint32_t at = j->first_item[key]; at < j->first_item[key + 1]; at++) {
		uint32_t item = j->key_items[at];
		if (item > newest && !judge_change(view, judge_item(view, item)->change)->failed)
			return item;
	}
	return 0;
}

static void explain_disorder(const struct view *view, struct buf *out)
{
	uint32_t late = UINT32_MAX, early = UINT32_MAX;
	const struct span *late_span = NULL, *early_span = NULL;
	for (uint32_t key = 0; key < view->contents->n_keys; key++) {
		const struct span *first, *last = judge_newest(view, key);
		if (!last)
			continue;
		first = view->contents->write[key] == CONTENTS_ABSENT ? NULL
								      : judge_oldest(view, key);
		if (first && (!late_span || first->from > late_span->from)) {
			late = key;
			late_span = first;
		}
		if (!early_span || last->until < early_span->until) {
			early = key;
			early_span = last;
		}
	}
	buf_string(out, "no prefix of the operations gives these contents: ");
	if (!late_span || early_span->until >= late_span->from) {
		buf_string(out, view->contents->invented
					? "some of them were never written"
					: "each key fits some prefix, but no prefix fits all");
		return;
	}
	print_key(view, late, out);
	buf_string(out, " holds ");
	print_found(view, late, out);
	if (late == early) {
		buf_string(out, ", which is never seen after a whole batch");
		return;
	}
	buf_string(out, ", but ");
	print_key(view, early, out);
	buf_string(out, " still holds ");
	print_found(view, early, out);
	buf_string(out, ", which ended with ");
	print_item(view, overwriter(view, early), out);
}

/* What an item of a batch does: a write between two texts, or a delete. */
static void print_part(const struct history_item *item, const char *before, const char *after,
		       const char *deleted, struct buf *out)
{
	if (item->write)
		buf_printf(out, "%swrite %u%s", before, item->write, after);
	else
		buf_string(out, deleted);
}

static void explain_partly(const struct view *view, bool in_flight, struct buf *out)
{
	for (uint32_t key = 0; key < view->contents->n_keys; key++) {
		uint32_t missing, batch = judge_partly(view, key, &missing);
		if (batch == 0 || (in_flight && batch <= view->bounds->acked))
			continue;
		const struct history_change *c = judge_change(view, batch);
		buf_printf(out, "batch #%u of %u changes%s is there in part: ", c->op, c->n,
			   batch > view->bounds->acked ? ", which had not returned," : "");
		print_key(view, key, out);
		print_part(judge_item(view, judge_newest(view, key)->item), " holds ", " of it",
			   " is deleted by it", out);
		buf_string(out, ", but ");
		print_key(view, judge_item(view, missing)->key, out);
		buf_string(out, " holds ");
		print_found(view, judge_item(view, missing)->key, out);
		print_part(judge_item(view, missing), " instead of ", "",
			   " instead of being deleted", out);
		return;
	}
}

void judge_explain(struct judge *judge, const struct contents *contents,
		   const struct bounds *bounds, enum rule rule, struct buf *out)
{
	struct verdict verdict;
	judge_contents(judge, contents, bounds, &verdict);
	if (!(verdict.broken & RULE_BIT(rule)))
		return;
	struct view view = judge_view(judge, contents, bounds);
	switch (rule) {
	case RULE_O2:
	case RULE_O6:
		explain_lost(&view, rule, out);
		break;
	case RULE_O3:
		explain_invented(&view, out);
		break;
	case RULE_O4:
		explain_disorder(&view, out);
		break;
	case RULE_O5:
	case RULE_O7:
		explain_partly(&view, rule == RULE_O7, out);
		break;
	default:
		break;
	}
}
