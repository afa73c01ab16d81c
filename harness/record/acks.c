#include "acks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "handlers.h"
#include "peer.h"
#include "recorder.h"

enum { PIPE_BYTES = 1 << 20, CHUNK = 1 << 16 };

bool acks_wanted(const struct recorder *r)
{
	return r->acks.wanted;
}

int acks_open(struct recorder *r, struct err *err)
{
	struct acks *a = &r->acks;
	struct stat st;
	int pair[2];
	if (pipe2(pair, O_CLOEXEC) != 0)
		return err_sys(err, "cannot make a pipe");
	a->wanted = true;
	a->in = pair[0];
	a->out = pair[1];
	/* Not being allowed to have a larger one costs time only. */
	fcntl(a->out, F_SETPIPE_SZ, PIPE_BYTES);
	if (fcntl(a->in, F_SETFL, O_NONBLOCK) != 0 || fstat(a->in, &st) != 0)
		return err_sys(err, "cannot use a pipe");
	a->dev = st.st_dev;
	a->ino = st.st_ino;
	return ERR_OK;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void acks_spawned(struct recorder *r)
{
	if (r->acks.wanted)
		close_end(&r->acks.out);
}

void acks_close(struct recorder *r)
{
	if (!r->acks.wanted)
		return;
	close_end(&r->acks.in);
	close_end(&r->acks.out);
	buf_finish(&r->acks.bytes);
	r->acks.wanted = false;
}

bool acks_come_from(const struct task *task, int fd)
{
	const struct acks *a = &task->recorder->acks;
	struct stat st;
	if (!a->wanted)
		return false;
	bool shared;
	int ours = peer_fd(task, fd, &shared);
	bool same =
		ours >= 0 && fstat(ours, &st) == 0 && st.st_dev == a->dev && st.st_ino == a->ino;
	if (ours >= 0)
		close(ours);
	return same;
}

/* Moves what is in the pipe to the buffer. */
static void drain(struct acks *a)
{
	char chunk[CHUNK];
	ssize_t n;
	while ((n = read(a->in, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			buf_append(&a->bytes, chunk, (size_t)n);
}

static void add(struct recorder *r, struct task *task, const char *line, size_t length)
{
	const struct record_options *o = r->options;
	if (o->is_ack && !o->is_ack(o->is_ack_arg, line, length))
		return;
	struct event *e = task ? call_event(task, EVENT_ACK) : trace_append(r->trace, EVENT_ACK);
	e->offset = ++r->acks.n;
	e->data_length = length;
	e->data = trace_bytes(r->trace, line, length);
}

void acks_take(struct recorder *r, struct task *task)
{
	struct acks *a = &r->acks;
	if (!a->wanted)
		return;
	pthread_mutex_lock(&r->lock);
	drain(a);
	const char *at = a->bytes.data, *end = at + a->bytes.len, *newline;
	while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		add(r, task, at, (size_t)(newline - at));
		at = newline + 1;
	}
	size_t rest = (size_t)(end - at);
	if (rest)
		memmove(a->bytes.data, at, rest);
	a->bytes.len = rest;
	pthread_mutex_unlock(&r->lock);
}

void acks_end(struct recorder *r)
{
	struct acks *a = &r->acks;
	acks_take(r, NULL);
	if (a->wanted && a->bytes.len)
		add(r, NULL, a->bytes.data, a->bytes.len);
}

void acks_relieve(struct recorder *r)
{
	drain(&r->acks);
}
