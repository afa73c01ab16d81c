/* Whole campaigns, for tests: one target, a database of its own. */
#ifndef POWERCUT_LIB_CAMPAIGN_H
#define POWERCUT_LIB_CAMPAIGN_H

#include "campaign.h"

#define ALL "kill ideal ext4 ext4-lock ext4-noda xfs btrfs posix-dir posix"

struct campaign {
	char db[64];
	struct store *store;
	struct campaign_result result;
	struct campaign_target targets[2];
	const struct profile *profiles[16];
	struct campaign_options options;
};

/* Prepares a campaign of 40 operations and at most 3000 states a profile, which
 * a test may change before campaign_go. */
void campaign_init(struct campaign *c, const char *spec, const char *profiles);
void campaign_go(struct campaign *c);
void campaign_end(struct campaign *c);

/* Everything a campaign found, as text, but for times and workers.  Caller frees. */
char *campaign_everything(struct campaign *c);

/* Asserts that two such texts are the same; names the first line that differs. */
void campaign_assert_same(const char *a, const char *b);

/* The first finding that breaks a rule; its texts are copies: finding_free. */
bool campaign_finding(struct campaign *c, uint32_t rule, struct finding_row *found);
void finding_free(struct finding_row *f);

#endif
