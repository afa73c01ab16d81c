/* Fidelity: does the model have every state that real file systems show?
 *
 * Random small programs of calls, and the litmus tests, are run on real file systems;
 * what crashes leave is held against the model (against.h).  A tree that the model does not
 * admit is a hole in the model. */
#ifndef POWERCUT_FIDELITY_H
#define POWERCUT_FIDELITY_H

#include "against.h"
#include "lab.h"
#include "litmus.h"

/* A zeroed struct is valid; zeros mean the default in brackets. */
struct fidelity_options {
	const struct profile *profile; /* of the model [that of the file system] */
	uint32_t programs;	       /* a file system [100] */
	uint32_t calls_max;	       /* of a program [8] */
	uint32_t states_max;	       /* block states of one recording [60] */
	uint32_t litmus_max; /* block states of a litmus test, while it shows nothing [1000] */
	uint64_t seed;
	uint32_t jobs;	     /* [one a CPU] */
	uint32_t shrink_max; /* attempts to make a miss smaller [60] */
	volatile const bool *stop;
	void (*progress)(void *arg, const struct file_system *fs, uint32_t done, uint32_t of);
	void *progress_arg;
};

enum { FIDELITY_TEXT = 4096, FIDELITY_MISSES = 8 };

/* A miss, with the program that showed it. */
struct fidelity_miss {
	uint64_t seed; /* of the program's recording */
	const struct timing *timing;
	bool warm, close_each;
	char program[FIDELITY_TEXT];
	char text[FIDELITY_TEXT]; /* miss_print */
};

struct fidelity_result {
	const struct file_system *fs;
	uint32_t programs, recordings;
	uint32_t failed; /* recordings that could not be made; why is in failure */
	char failure[512];
	uint64_t states;      /* block states mounted */
	uint32_t unmountable; /* that the file system refused */
	char refusal[512];
	uint64_t trees; /* sightings that were held against the model */
	uint64_t undecided;
	uint64_t misses;
	struct fidelity_miss *miss; /* the first of them, [n_miss], with the programs made small */
	uint32_t n_miss;
	uint64_t model, seen; /* different trees that the model has, of these seen; of the */
	uint32_t counted;     /* recordings that have few enough */
};

/* Random programs on one file system.  Errors: as crew_run.  fidelity_finish releases the
 * result in any case. */
int fidelity_run(struct lab *lab, const struct file_system *fs,
		 const struct fidelity_options *options, struct fidelity_result *result,
		 struct err *err);
void fidelity_finish(struct fidelity_result *result);

/* One given program on one file system, under all timings, `rounds` times; misses of it
 * are not made smaller. */
int fidelity_program(struct lab *lab, const struct file_system *fs, const char *program,
		     const char *name, uint32_t rounds, const struct fidelity_options *options,
		     struct fidelity_result *result, struct err *err);

/* What a litmus test showed on a file system. */
struct litmus_result {
	bool done; /* some state could be mounted */
	bool shown;
	uint32_t unmountable, undecided; /* as in fidelity_result */
	uint32_t states, after;		 /* mounted; and of these, until it was shown */
	char timing[16], blocks[512];
	uint64_t misses;
	char text[1024]; /* of the first miss; or why it could not be done */
};

/* All litmus tests on one file system; results: one each, in their order. */
int fidelity_litmus(struct lab *lab, const struct file_system *fs,
		    const struct fidelity_options *options, struct litmus_result *results,
		    struct err *err);

#endif
