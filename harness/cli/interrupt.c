#include "interrupt.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#include "clock.h"

enum { AGAIN_NS = 1000000000 };

volatile bool interrupted;
static volatile uint64_t interrupted_ns;

static void on_interrupt(int signal_number)
{
	uint64_t now = clock_ns();
	if (!interrupted)
		interrupted_ns = now;
	interrupted = true;
	if (now - interrupted_ns > AGAIN_NS) {
		signal(signal_number, SIG_DFL);
		raise(signal_number);
	}
}

void interrupt_catch(void)
{
	struct sigaction action = {.sa_handler = on_interrupt};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}
