/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Surviving SIGBUS. Memory shared by another process through a file vanishes under us when that
 * process makes the file shorter; the next access raises SIGBUS. The handler puts zero pages in the
 * place of the mapping and raises a flag; the interrupted instruction then goes on.
 *
 * The table is read in the handler, which can interrupt anything: an entry is made valid by its
 * last store and invalid by its first.
 */
#include "viaduct/errno.h"
#include "viaduct/linux.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#define GUARDS_MAX 1024

struct guard {
	unsigned char *base; /* NULL: free */
	size_t size;
	volatile bool *hit;
};

static struct guard guards[GUARDS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;

/* A guard that another thread removes or reuses meanwhile is not the one of memory we touch. */
static bool covers(const struct guard *guard, const unsigned char *address)
{
	const unsigned char *base = __atomic_load_n(&guard->base, __ATOMIC_ACQUIRE);
	size_t size = __atomic_load_n(&guard->size, __ATOMIC_ACQUIRE);

	return base != NULL && address >= base && (size_t)(address - base) < size &&
	       base == __atomic_load_n(&guard->base, __ATOMIC_ACQUIRE);
}

static struct guard *find(const unsigned char *address)
{
	for (unsigned i = 0; i < GUARDS_MAX; i++)
		if (covers(&guards[i], address))
			return &guards[i];
	return NULL;
}

/* By somebody, with kill() and the like; there is no access to repeat, and no address. */
static bool was_sent(const siginfo_t *info)
{
	return info->si_code <= 0;
}

/* Not ours: as if we were not here. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(signal, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(signal);
	} else if (before.sa_handler == SIG_DFL || !was_sent(info)) {
		/* Returning repeats the access, this time with the default action. */
		(void)sigaction(signal, &before, NULL);
		if (was_sent(info))
			(void)raise(signal);
	}
}

/* Without a reservation, or a large mapping could not be replaced on a small machine. */
static bool replace(const struct guard *guard)
{
	return mmap(guard->base, guard->size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static void handle(int signal, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	struct guard *guard = was_sent(info) ? NULL : find(info->si_addr);

	if (guard != NULL && replace(guard))
		*guard->hit = true;
	else
		pass_on(signal, info, context);
	errno = saved_errno;
}

int vd_guard_install(void)
{
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction now;

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, NULL, &now) != 0)
		return -errno;
	/* Once is enough, and passing on to ourselves would never end. */
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == handle)
		return 0;
	before = now;
	return sigaction(SIGBUS, &action, NULL) == 0 ? 0 : -errno;
}

int vd_guard_add(void *base, size_t size, volatile bool *hit)
{
	int handle_of = -VD_ENOSPC;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < GUARDS_MAX; i++) {
		if (guards[i].base != NULL)
			continue;
		__atomic_store_n(&guards[i].size, size, __ATOMIC_RELEASE);
		guards[i].hit = hit;
		__atomic_store_n(&guards[i].base, base, __ATOMIC_RELEASE);
		handle_of = i;
		break;
	}
	pthread_mutex_unlock(&lock);
	return handle_of;
}

void vd_guard_remove(int handle_of)
{
	if (handle_of < 0)
		return;
	pthread_mutex_lock(&lock);
	__atomic_store_n(&guards[handle_of].base, NULL, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
}
