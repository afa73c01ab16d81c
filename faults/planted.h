/* The planted bugs of the built-in engines: what is wrong, and what must be
 * found because of it.  Each stands in its engine's source behind MUTANT(name). */
#ifndef POWERCUT_PLANTED_H
#define POWERCUT_PLANTED_H

struct planted_bug {
	const char *name;     /* "wal/skip-sync"; NULL ends the table */
	const char *wrong;    /* what is wrong, for people, without a full stop */
	const char *target;   /* engine and options with which it shows */
	const char *workload; /* as workload_parse reads it; "": the default */
	const char *rules;    /* "O2|O6": at least one of these is broken */
	const char *from;     /* "ext4 xfs": profiles from which it shows.  It must be found under
				 each of them and under every weaker one */
};

extern const struct planted_bug planted_bugs[];

#endif
