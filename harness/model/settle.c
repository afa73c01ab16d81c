/* What is on disk for certain once a sync has returned (M1), and what comes with
 * it: the names of the file (M6), the journal (M7), and what a profile lets
 * overtake.  Lows are raised for good. */
#include "model_private.h"

#include <string.h>

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
	model_raise(model, object, version, overtakes ? TAG_ORDER : 0);
}

/* The micro-op by which an entry came to name an inode, or NULL where it did at the start. */
static const struct micro *naming_micro(const struct model *model, const struct naming *n)
{
	return n->version ? &model->ops->micros[ops_micro(model->ops, n->object, n->version)]
			  : NULL;
}

/* Whether a version of an entry came about by a rename. */
static bool by_rename(const struct model *model, const struct naming *n)
{
	const struct micro *m = naming_micro(model, n);
	return m && m->partner != NONE;
}

/* Whether it did by an exchange of which a sync of the file does not know. */
static bool is_unnamed(const struct model *model, const struct naming *n)
{
	return model->profile->exchange_unnamed && by_rename(model, n) &&
	       model->ops->micros[naming_micro(model, n)->partner].ino != 0;
}

/* Whether a directory was made and may not be on disk yet. */
static bool is_new(const struct model *model, uint32_t dir)
{
	const struct inode *inode = &model->ops->inodes[dir];
	const struct naming *made = &model->ops->namings[inode->namings];
	return inode->n_namings && model->low[made->object] < made->version;
}

static void drop_ties(struct model *model, uint32_t micro)
{
	for (uint32_t i = model->of[micro].demands; i != NONE; i = model->demands[i].next)
		if (model->demands[i].tag & (TAG_GROUP | TAG_MOVED))
			model->demands[i].version = 0; /* asks nothing */
}

/* What overtakes by its name takes nothing along of what that entry named before, nor of the
 * names that the file had in between: the other halves of these renames may stay behind.  And
 * its old name goes only where that is its own on disk. */
static void let_earlier_be(struct model *model, uint32_t ino, uint32_t naming)
{
	const struct ops *ops = model->ops;
	const struct naming *namings = ops->namings + ops->inodes[ino].namings;
	const struct naming *settled = &namings[naming];
	for (uint32_t v = model->low[settled->object] + 1; v < settled->version; v++)
		drop_ties(model, ops_micro(ops, settled->object, v));
	if (!by_rename(model, settled))
		return;
	for (uint32_t i = 0; i <= naming; i++) {
		const struct micro *m = naming_micro(model, &namings[i]);
		if (!m || m->partner == NONE)
			continue;
		uint32_t from = ops->micros[m->partner].object;
		if (i < naming)
			drop_ties(model, m->partner);
		if (i < naming || ops_entry(ops, from, model->low[from]) != ino)
			drop_ties(model, ops_micro(ops, namings[i].object, namings[i].version));
	}
}

/* M6: the names of an inode.  Where metadata is ordered, those of the directories above
 * come with them as far as they are older; a file system on which a file overtakes takes
 * along the directories that are new, under the name that they were made with or a later one. */
static void settle_names(struct model *model, uint32_t ino, enum rule_names rule,
			 const struct sync *sync)
{
	const struct ops *ops = model->ops;
	const struct inode *inode = &ops->inodes[ino];
	const struct naming *namings = ops->namings + inode->namings;
	bool overtakes = model->profile->order == ORDER_OVERTAKE;
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
		if (by_rename(model, n) && !is_unnamed(model, n))
			renamed = end;
	}
	for (uint32_t i = 0; i < end; i++) {
		const struct naming *n = &namings[i];
		bool creation = i == 0;
		if (!creation && (rule == NAMES_CREATION || (by_rename(model, n) && i != renamed)))
			continue;
		uint32_t dir = ops->objects[n->object].ino;
		bool with_dir = overtakes && is_new(model, dir);
		if (overtakes)
			let_earlier_be(model, ino, i);
		settle_object(model, n->object, n->version);
		if (with_dir)
			settle_names(model, dir, NAMES_CREATION, sync);
	}
}

/* Whether an inode has a name, as the program sees it. */
static bool has_name(const struct model *model, uint32_t ino)
{
	const struct inode *inode = &model->ops->inodes[ino];
	for (uint32_t i = 0; i < inode->n_namings; i++) {
		const struct naming *n = &model->ops->namings[inode->namings + i];
		if (model->newest[n->object] == n->version)
			return true;
	}
	return false;
}

/* A file system that logs no file without a name: what the sync covers is written all the same. */
static void note_nameless(struct model *model, uint32_t ino, const struct sync *sync)
{
	for (size_t i = 0; i < model->n_pending; i++) {
		uint32_t object = model->pending[i];
		const struct object *o = &model->ops->objects[object];
		if (o->ino == ino && o->kind != OBJECT_ENTRY)
			model->nameless[object] = covered(model, object, sync);
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
	/* The least version from which on every size covers them. */
	uint32_t v = model->newest[size];
	while (v > model->low[size] && ops_size(ops, size, v - 1) >= end)
		v--;
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

/* The log of a file that overtakes takes other files along whose names were, or have become,
 * names of it; those that have to do with these; and the directories above: all may overtake,
 * by their names and sizes. */
static void loosen_inode(struct model *model, uint32_t ino);

static void loosen_entry(struct model *model, uint32_t object)
{
	const struct ops *ops = model->ops;
	uint32_t low = model->low[object], newest = model->newest[object];
	if (newest == low)
		return;
	for (uint32_t v = low + 1; v <= newest; v++) {
		uint32_t m = ops_micro(ops, object, v);
		model_loosen(model, m);
		if (ops->micros[m].partner != NONE)
			model_loosen(model, ops->micros[m].partner);
	}
	for (uint32_t v = low; v <= newest; v++)
		loosen_inode(model, ops_entry(ops, object, v));
	loosen_inode(model, ops->objects[object].ino);
}

static void loosen_inode(struct model *model, uint32_t ino)
{
	const struct ops *ops = model->ops;
	const struct inode *inode = &ops->inodes[ino];
	if (ino == 0 || model->seen[ino] == model->seen_now)
		return;
	model->seen[ino] = model->seen_now;
	if (inode->size_object != NONE)
		for (uint32_t v = model->low[inode->size_object] + 1;
		     v <= model->newest[inode->size_object]; v++)
			model_loosen(model, ops_micro(ops, inode->size_object, v));
	for (uint32_t i = 0; i < inode->n_namings; i++) {
		const struct naming *n = &ops->namings[inode->namings + i];
		if (n->version <= model->newest[n->object])
			loosen_entry(model, n->object);
	}
}

static void loosen_directory(struct model *model, uint32_t dir)
{
	const struct inode *inode = &model->ops->inodes[dir];
	for (uint32_t i = 0; i < inode->n_entries; i++)
		loosen_entry(model, model->ops->entry_objects[inode->entries + i]);
}

static void sync_inode(struct model *model, const struct sync *sync)
{
	const struct event *e = sync->event;
	bool all = e->kind == EVENT_FSYNC || e->flags & EVENT_FSYNC_TOO;
	if (model->profile->order == ORDER_OVERTAKE) {
		loosen_inode(model, e->ino);
		if (model->ops->inodes[e->ino].type == INODE_DIR)
			loosen_directory(model, e->ino);
		model->logged[e->ino] = true;
		model->seen_now++;
	}
	if (model->profile->nameless_unlogged && e->ino != TRACE_ROOT && !has_name(model, e->ino)) {
		note_nameless(model, e->ino, sync);
		return;
	}
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

/* The newest version of a block, up to one, that changed more than data. */
static uint32_t logged(const struct model *model, uint32_t object, uint32_t version)
{
	const struct ops *ops = model->ops;
	while (version > model->low[object] &&
	       !(ops->micros[ops_micro(ops, object, version)].flags & MICRO_ALLOCATES))
		version--;
	return version;
}

/* The data that sizes say is there (M5) was written before they were logged. */
static void settle_needs(struct model *model, uint32_t size, uint32_t version)
{
	for (uint32_t v = model->low[size] ? model->low[size] : 1; v <= version; v++) {
		const struct of_micro *of = &model->of[ops_micro(model->ops, size, v)];
		if (of->need_object != NONE)
			model_raise(model, of->need_object, of->need_version, 0);
	}
}

/* Everything that the sync covers, of all files. */
static void sync_all(struct model *model, const struct sync *sync)
{
	bool log_only = model->profile->sync_flushes_log;
	const struct object *objects = model->ops->objects;
	for (size_t i = 0; i < model->n_pending && log_only; i++)
		if (objects[model->pending[i]].kind == OBJECT_SIZE)
			settle_needs(model, model->pending[i],
				     covered(model, model->pending[i], sync));
	for (size_t i = 0; i < model->n_pending; i++) {
		uint32_t object = model->pending[i], version = covered(model, object, sync);
		if (log_only && objects[object].kind == OBJECT_BLOCK)
			version = logged(model, object, version);
		model_raise(model, object, version, 0);
	}
}

void settle_sync(struct model *model, uint32_t event)
{
	const struct event *e = &model->ops->trace->events[event];
	struct sync sync = {e, event};
	model->seen_now++;
	if ((e->kind == EVENT_WRITE || e->kind == EVENT_MSYNC) && e->length == 0)
		return; /* nothing was written, nothing is synced */
	if (e->kind == EVENT_SYNC)
		memset(model->logged, 0, (size_t)model->ops->n_inodes + 1);
	if (e->kind == EVENT_SYNC || model->profile->order == ORDER_ALL)
		sync_all(model, &sync);
	else
		sync_inode(model, &sync);
	model_make_final(model);
}
