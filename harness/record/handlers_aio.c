/* Asynchronous calls by io_submit.
 *
 * The recorder lets them become synchronous: at the exit stop of io_submit it
 * waits until the kernel has completed what was submitted, which it sees in the
 * ring of completions that the kernel keeps in the program's memory.  That is a
 * schedule that might have been.  But the program does not know yet: where it
 * syncs a file before it has taken the completion of a write to it, it relies on
 * an order that nobody promised, and the run is inconclusive. */
#include "handlers.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "mem.h"
#include "peer.h"

enum {
	BLOCKS_MAX = 1 << 16,
	RING_MAGIC = 0xa10a10a1,
	WAIT_MS = 20000,
};

/* The ring's head, as the kernel lays it out; struct io_event's follow.  Its
 * address is the context. */
struct ring {
	uint32_t id, n;	     /* n: how many events it has room for */
	uint32_t head, tail; /* the first to be taken, and the first free one */
	uint32_t magic, compat, incompat, header_bytes;
};

/* Something submitted that matters. */
struct block {
	uint64_t address; /* of the iocb: what its completion is known by */
	struct iocb iocb;
	int fd; /* as in struct call */
	bool fd_shared;
	int fd_flags;
	uint32_t ino;
	int64_t result;
	uint32_t position; /* of its completion in the ring */
	bool completed;
};

struct call_blocks {
	struct block *of;
	size_t n, cap;
	uint32_t tail; /* of the ring, before */
};

/* A write whose completion the program may not have taken yet. */
struct unreaped {
	const struct process *process;
	uint64_t context;
	uint32_t position;
	uint32_t ino;
};

void aio_release(struct call *call)
{
	struct call_blocks *blocks = call->blocks;
	for (size_t i = 0; blocks && i < blocks->n; i++)
		if (blocks->of[i].fd >= 0)
			close(blocks->of[i].fd);
	if (blocks)
		free(blocks->of);
	free(blocks);
	call->blocks = NULL;
}

static bool read_ring(const struct task *task, uint64_t context, struct ring *ring)
{
	return peer_read(task, context, ring, sizeof *ring) && ring->magic == RING_MAGIC &&
	       ring->n > 0 && ring->head < ring->n && ring->tail < ring->n;
}

/* Whether the program may still have to take that completion.  Where the ring is
 * gone, it has waited for all. */
static bool is_unreaped(const struct task *task, const struct unreaped *u)
{
	struct ring ring;
	if (u->process != task->process)
		return true;
	if (!read_ring(task, u->context, &ring))
		return false;
	return (u->position + ring.n - ring.head) % ring.n <
	       (ring.tail + ring.n - ring.head) % ring.n;
}

/* Forgets what has been taken since. */
static void look_after_unreaped(struct task *task)
{
	struct recorder *r = task->recorder;
	size_t n = 0;
	for (size_t i = 0; i < r->n_unreaped; i++)
		if (is_unreaped(task, &r->unreaped[i]))
			r->unreaped[n++] = r->unreaped[i];
	r->n_unreaped = n;
}

void aio_forget(struct recorder *r, const struct process *process)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_unreaped; i++)
		if (r->unreaped[i].process != process)
			r->unreaped[n++] = r->unreaped[i];
	r->n_unreaped = n;
}

void call_needs_reaped(struct task *task, uint32_t ino)
{
	struct recorder *r = task->recorder;
	if (r->n_unreaped == 0)
		return;
	look_after_unreaped(task);
	for (size_t i = 0; i < r->n_unreaped; i++)
		if (ino == 0 || r->unreaped[i].ino == ino) {
			call_inconclusive(task, "before the completion of a write by io_submit "
						"has been taken");
			return;
		}
}

/* The completions that came since: false while one that matters is missing. */
static bool all_completed(struct task *task, struct call_blocks *blocks)
{
	struct ring ring;
	struct io_event event;
	uint64_t context = task->call.args[0], events = context + sizeof ring;
	size_t missing = blocks->n;
	if (!read_ring(task, context, &ring))
		return false;
	for (uint32_t at = blocks->tail; at != ring.tail; at = (at + 1) % ring.n) {
		if (!peer_read(task, events + at * sizeof event, &event, sizeof event))
			return false;
		for (size_t i = 0; i < blocks->n; i++) {
			struct block *b = &blocks->of[i];
			if (b->address != event.obj || b->completed)
				continue;
			b->completed = true;
			b->result = event.res;
			b->position = at;
			break;
		}
	}
	for (size_t i = 0; i < blocks->n; i++)
		missing -= blocks->of[i].completed;
	return missing == 0;
}

static bool wait_for_completions(struct task *task, struct call_blocks *blocks)
{
	const struct timespec pause = {.tv_nsec = 50000};
	uint64_t end = clock_ns() + WAIT_MS * UINT64_C(1000000);
	while (!all_completed(task, blocks)) {
		if (clock_ns() > end)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static void wrote_block(struct task *task, const struct iocb *iocb)
{
	struct source_bytes from = {0};
	if (iocb->aio_lio_opcode == IOCB_CMD_PWRITE)
		from.buffer = iocb->aio_buf;
	else
		from = (struct source_bytes){.vector = iocb->aio_buf, .count = iocb->aio_nbytes};
	call_wrote_at(task, (uint64_t)iocb->aio_offset, &from);
}

static void did_block(struct task *task, struct block *block)
{
	struct recorder *r = task->recorder;
	struct call *call = &task->call;
	bool syncs = block->iocb.aio_lio_opcode == IOCB_CMD_FSYNC;
	if (block->result < 0)
		return;
	call->fd = block->fd;
	call->fd_shared = block->fd_shared;
	call->fd_flags = block->fd_flags;
	call->ino = block->ino;
	call->flags = block->iocb.aio_rw_flags;
	call->ret = (uint64_t)block->result;
	if (syncs || block->iocb.aio_lio_opcode == IOCB_CMD_FDSYNC) {
		call_needs_reaped(task, block->ino);
		call_event(task, syncs ? EVENT_FSYNC : EVENT_FDATASYNC)->ino = block->ino;
	} else {
		wrote_block(task, &block->iocb);
		*MEM_PUSH(r->unreaped, r->n_unreaped, r->unreaped_cap) = (struct unreaped){
			task->process, call->args[0], block->position, block->ino};
	}
	call->fd = -1;
}

static void submitted(struct task *task)
{
	struct call *call = &task->call;
	struct call_blocks *blocks = call->blocks;
	uint64_t count = call->ret; /* which may be fewer than asked for */
	size_t n = 0;
	while (n < blocks->n && blocks->of[n].position < count)
		n++;
	for (size_t i = n; i < blocks->n; i++)
		if (blocks->of[i].fd >= 0)
			close(blocks->of[i].fd);
	blocks->n = n;
	if (!wait_for_completions(task, blocks)) {
		call_inconclusive(task, "its completions cannot be seen");
		return;
	}
	for (size_t i = 0; i < n; i++)
		did_block(task, &blocks->of[i]);
}

/* Offsets of what is appended depend on the order of completion; an operation that
 * is not known might do anything. */
static void not_followed(struct task *task)
{
	call_inconclusive(task, "operation %llu is not modelled",
			  (unsigned long long)task->call.flags);
}

static bool can_follow(const struct iocb *iocb, int fd_flags)
{
	switch (iocb->aio_lio_opcode) {
	case IOCB_CMD_FSYNC:
	case IOCB_CMD_FDSYNC:
		return true;
	case IOCB_CMD_PWRITE:
	case IOCB_CMD_PWRITEV:
		return !(fd_flags & O_APPEND) && !(iocb->aio_rw_flags & RWF_APPEND);
	default:
		return false;
	}
}

/* The index-th block of the call.  False if it cannot be followed. */
static bool add_block(struct task *task, uint32_t index, uint64_t address, const struct iocb *iocb)
{
	struct call *call = &task->call;
	if (iocb->aio_lio_opcode == IOCB_CMD_PREAD || iocb->aio_lio_opcode == IOCB_CMD_PREADV ||
	    iocb->aio_lio_opcode == IOCB_CMD_POLL || !call_takes_fd(task, (int)iocb->aio_fildes))
		return true;
	if (!can_follow(iocb, call->fd_flags)) {
		call->flags = iocb->aio_lio_opcode;
		call->at_exit = not_followed;
		return false;
	}
	if (!call->blocks)
		call->blocks = mem_alloc(1, sizeof *call->blocks);
	struct call_blocks *blocks = call->blocks;
	*MEM_PUSH(blocks->of, blocks->n, blocks->cap) = (struct block){.address = address,
								       .iocb = *iocb,
								       .fd = call->fd,
								       .fd_shared = call->fd_shared,
								       .fd_flags = call->fd_flags,
								       .ino = call->ino,
								       .position = index};
	call->fd = -1;
	return true;
}

void call_io_submit(struct task *task)
{
	struct call *call = &task->call;
	uint64_t n = call->args[1] < BLOCKS_MAX ? call->args[1] : BLOCKS_MAX;
	struct ring ring;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t at;
		struct iocb iocb;
		if (!call_reads(task, call->args[2] + i * sizeof at, &at, sizeof at) ||
		    !call_reads(task, at, &iocb, sizeof iocb) || !add_block(task, i, at, &iocb))
			return;
	}
	if (!call->blocks)
		return;
	look_after_unreaped(task);
	call->exclusive = true;
	call->at_exit = submitted;
	/* Else the call will fail. */
	if (read_ring(task, call->args[0], &ring))
		call->blocks->tail = ring.tail;
}
