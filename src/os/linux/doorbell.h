/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Doorbells: file descriptors from another process that are signalled to us, or by us. Usually an
 * eventfd; UML uses sockets, old systems pipes; others are not taken, because of some files every
 * operation may block. The other process keeps the same open file and can do anything with it at
 * any moment, so no operation here blocks or goes on for long, whatever is in it.
 */
#ifndef VD_OS_LINUX_DOORBELL_H
#define VD_OS_LINUX_DOORBELL_H

#include <stdbool.h>

enum vd_doorbell_kind {
	VD_DOORBELL_EVENTFD,
	VD_DOORBELL_SOCKET,
	VD_DOORBELL_PIPE,
};

struct vd_doorbell {
	int fd; /* -1: none */
	enum vd_doorbell_kind kind;
};

static inline bool vd_doorbell_exists(const struct vd_doorbell *bell)
{
	return bell->fd >= 0;
}

/* Take over @fd (-1: none), also on failure, closing the one before. -EINVAL: it makes no doorbell,
 * and there is none now. */
int vd_doorbell_set(struct vd_doorbell *bell, int fd);

/* Close it, if there is one. */
void vd_doorbell_close(struct vd_doorbell *bell);

/* Signal it. A signal that is still pending is enough; failure is the other side's problem. */
void vd_doorbell_ring(const struct vd_doorbell *bell);

/*
 * Take signals that arrived, not necessarily all. An eventfd is not read at all: it is watched
 * edge-triggered, its counter can't overflow in a lifetime, and a read could block if the other
 * side reads it too. False: no more will come, for the other end is closed or the descriptor in
 * error.
 */
bool vd_doorbell_drain(const struct vd_doorbell *bell);

#endif /* VD_OS_LINUX_DOORBELL_H */
