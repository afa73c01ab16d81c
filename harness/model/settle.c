/* What is on disk for certain once a sync has returned (M1), and what comes with
 * it: the names of the file (M6), the journal (M7), and what a profile lets
 * overtake.  Lows are raised for good. */
#include "model_private.h"

struct sync {
	const struct event *event;
	uint32_t number; /* the event's */
};

/* A sync covers the calls that had returned before it was entered; a
 * synchronous write covers itself too. */
static bool covers(const struct sync *sync, const struct micro *m)
{
	return m->event < sync->event->entered || m->event == sync->number;
}

/* The newest version of an object that the sync covers. */
static uint32_t covered(const struct model *model, uint32_t object, const struct sync *sync)
{
	uint32_t v = model->newest[object];
	while (v > model->low[object] &&
	       !covers(sync, &model->ops->micros[ops_micro(model->ops, object, v)]))
		v--;
	return v;
}

static void settle_object(struct model *model, uint32_t object, uint32_t version)
{
	bool overtakes = model->profile->order == ORDER_OVERTAKE;
	model_raise(model, object, version, overtakes ? TAG_ORDER | TAG_REPLACE : 0);
}

/* Whether a version of an entry came about by a rename. */
static bool by_rename(const struct model *model, const struct naming *n)
{
	const struct ops *ops = model->ops;
	return n->version && ops->micros[ops_micro(ops, n->object, n->version)].partner != NONE;
}

/* M6: the names of an inode and those of the directories above. */
static void settle_names(struct model *model, uint32_t ino, enum rule_names rule,
			 const struct sync *sync)
{
	const struct ops *ops = model->ops;
	const struct inode *inode = &ops->inodes[ino];
	const struct naming *namings = ops->namings + inode->namings;
	if (rule == NAMES_NONE || model->seen[ino] == model->seen_now)
		return;
	model->seen[ino] = model->seen_now;
	/* Namings are in program order: the covered ones come first, and of the
	 * renames among them only the last counts. */
	uint32_t end = 0, renamed = NONE;
	for (; end < inode->n_namings; end++) {
		const struct naming *n = &namings[end];
		if (n->version > model->low[n->object] &&
		    n->version > covered(model, n->object, sync))
			break;
		if (by_rename(model, n))
			renamed = end;
	}
	for (uint32_t i = 0; i < end; i++) {
		const struct naming *n = &namings[i];
		bool creation = i == 0;
		if (!creation && (rule == NAMES_CREATION || (by_rename(model, n) && i != renamed)))
			continue;
		settle_object(model, n->object, n->version);
		settle_names(model, ops->objects[n->object].ino, rule, sync);
	}
}

static void settle_file(struct model *model, uint32_t ino, const struct sync *sync)
{
	for (size_t i = 0; i < model->n_pending; i++) {
		uint32_t object = model->pending[i];
		const struct object *o = &model->ops->objects[object];
		if (o->ino == ino && o->kind != OBJECT_ENTRY)
			settle_object(model, object, covered(model, object, sync));
	}
}

/* M9: files that were moved here may keep their old names elsewhere. */
static void let_moves_split(struct model *model, uint32_t object, uint32_t version)
{
	for (uint32_t v = model->low[object] + 1; v <= version; v++) {
		uint32_t m = ops_micro(model->ops, object, v);
		for (uint32_t i = model->of[m].demands; i != NONE; i = model->demands[i].next)
			if (model->demands[i].tag == TAG_MOVED)
				model->demands[i].version = 0; /* asks nothing */
	}
}

static bool entry_of(const struct model *model, uint32_t object, uint32_t dir)
{
	const struct object *o = &model->ops->objects[object];
	return o->kind == OBJECT_ENTRY && o->ino == dir;
}

static void settle_directory(struct model *model, uint32_t dir, const struct sync *sync)
{
	for (size_t i = 0; i < model->n_pending && model->profile->rename_splits; i++)
		if (entry_of(model, model->pending[i], dir))
			let_moves_split(model, model->pending[i],
					covered(model, model->pending[i], sync));
	for (size_t i = 0; i < model->n_pending; i++)
		if (entry_of(model, model->pending[i], dir))
			settle_object(model, model->pending[i],
				      covered(model, model->pending[i], sync));
}

/* O_SYNC, O_DSYNC, RWF_SYNC, RWF_DSYNC: the bytes that were written, and a
 * size that covers them. */
static void settle_range(struct model *model, const struct event *e)
{
	const struct ops *ops = model->ops;
	uint32_t size = ops->inodes[e->ino].size_object;
	uint64_t end = e->offset + e->length;
	for (uint64_t b = e->offset / BLOCK_BYTES; b * BLOCK_BYTES < end; b++) {
		uint32_t block = ops_block_object(ops, e->ino, (uint32_t)b);
		settle_object(model, block, model->newest[block]);
	}
	/* The blocks have raised the size past any truncate that hides them. */
	uint32_t v = model->low[size];
	while (ops_size(ops, size, v) < end)
		v++;
	settle_object(model, size, v);
}

/* Whether a version of a size cuts off or punches anything of the event's range. */
static bool masks_range(const struct ops *ops, uint32_t size, uint32_t version,
			const struct event *e)
{
	uint32_t i, end;
	ops_masks_switched(ops, size, version - 1, version, &i, &end);
	for (; i < end; i++)
		if (ops->masks[i].from < e->offset + e->length && ops->masks[i].to > e->offset)
			return true;
	return false;
}

/* msync: the data of the range, and of the sizes those without which the range would
 * read otherwise. */
static void settle_mapped(struct model *model, const struct sync *sync)
{
	const struct ops *ops = model->ops;
	const struct event *e = sync->event;
	uint64_t end = e->offset + e->length;
	uint32_t size = ops->inodes[e->ino].size_object, v = covered(model, size, sync);
	if (end > ops_size(ops, size, v))
		end = ops_size(ops, size, v);
	for (size_t i = 0; i < model->n_pending; i++) {
		uint32_t object = model->pending[i];
		const struct object *o = &ops->objects[object];
		uint64_t start = (uint64_t)o->block * BLOCK_BYTES;
		if (o->ino == e->ino && o->kind == OBJECT_BLOCK && start < end &&
		    start + BLOCK_BYTES > e->offset)
			settle_object(model, object, covered(model, object, sync));
	}
	while (v > model->low[size] && ops_size(ops, size, v - 1) >= end &&
	       !masks_range(ops, size, v, e))
		v--;
	settle_object(model, size, v);
}

/* The newest change of size or allocation of an inode among what this sync has
 * put on disk so far: a micro-op, or NONE. */
static uint32_t last_change(const struct model *model, uint32_t ino)
{
	const struct ops *ops = model->ops;
	uint32_t last = NONE;
	for (size_t i = 0; i < model->n_trail; i++) {
		const struct trail *t = &model->trail[i];
		const struct object *o = &ops->objects[t->object];
		if (o->ino != ino || o->kind == OBJECT_ENTRY)
			continue;
		for (uint32_t v = model->low[t->object]; v > t->low; v--) {
			uint32_t m = ops_micro(ops, t->object, v);
			if (o->kind != OBJECT_SIZE && !(ops->micros[m].flags & MICRO_ALLOCATES))
				continue;
			last = last == NONE || m > last ? m : last;
			break;
		}
	}
	return last;
}

/* M7: the journal up to that change.  Where only a range was synced, changes
 * elsewhere in the file are not in the journal yet. */
static void settle_journal(struct model *model, uint32_t ino)
{
	uint32_t last = model->profile->journal ? last_change(model, ino) : NONE;
	if (last == NONE)
		return;
	uint32_t m = model->last[0];
	while (m != NONE && m >= last)
		m = model->of[m].before;
	if (m != NONE) {
		const struct micro *newest = &model->ops->micros[m];
		model_raise(model, newest->object, newest->version, 0);
	}
}

static void sync_inode(struct model *model, const struct sync *sync)
{
	const struct event *e = sync->event;
	bool all = e->kind == EVENT_FSYNC || e->flags & EVENT_FSYNC_TOO;
	if (model->ops->inodes[e->ino].type == INODE_DIR) {
		settle_directory(model, e->ino, sync);
	} else {
		if (e->kind == EVENT_WRITE)
			settle_range(model, e);
		else if (e->kind == EVENT_MSYNC)
			settle_mapped(model, sync);
		else
			settle_file(model, e->ino, sync);
		settle_journal(model, e->ino);
	}
	settle_names(model, e->ino, all ? model->profile->fsync : model->profile->fdatasync, sync);
}

/* Everything that the sync covers, of all files. */
static void sync_all(struct model *model, const struct sync *sync)
{
	for (size_t i = 0; i < model->n_pending; i++) {
		uint32_t object = model->pending[i];
		model_raise(model, object, covered(model, object, sync), 0);
	}
}

void settle_sync(struct model *model, uint32_t event)
{
	const struct event *e = &model->ops->trace->events[event];
	struct sync sync = {e, event};
	model->seen_now++;
	if ((e->kind == EVENT_WRITE || e->kind == EVENT_MSYNC) && e->length == 0)
		return; /* nothing was written, nothing is synced */
	if (e->kind == EVENT_SYNC || model->profile->order == ORDER_ALL)
		sync_all(model, &sync);
	else
		sync_inode(model, &sync);
	model_make_final(model);
}
