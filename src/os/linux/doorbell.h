/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Doorbells: file descriptors from another process that are signalled to us, or by us. Usually an
 * eventfd; UML uses sockets, old systems pipes. The other process keeps the same open file and can
 * do anything with it at any moment, so no operation here may block, whatever the file looks like.
 */
#ifndef VD_OS_LINUX_DOORBELL_H
#define VD_OS_LINUX_DOORBELL_H

#include <stdbool.h>

enum vd_doorbell_kind {
	VD_DOORBELL_EVENTFD,
	VD_DOORBELL_SOCKET,
	VD_DOORBELL_OTHER, /* a pipe, or what else somebody may think of */
};

struct vd_doorbell {
	int fd; /* -1: none */
	enum vd_doorbell_kind kind;
};

static inline bool vd_doorbell_exists(const struct vd_doorbell *bell)
{
	return bell->fd >= 0;
}

/* Take over @fd (-1: none), closing the one before. */
void vd_doorbell_set(struct vd_doorbell *bell, int fd);

/* Close it, if there is one. */
void vd_doorbell_close(struct vd_doorbell *bell);

/* Signal it. A signal that is still pending is enough; failure is the other side's problem. */
void vd_doorbell_ring(const struct vd_doorbell *bell);

/*
 * Take the signals that arrived. An eventfd is not read at all: it is watched edge-triggered, its
 * counter can't overflow in a lifetime, and a read could block if the other side reads it too.
 */
void vd_doorbell_drain(const struct vd_doorbell *bell);

#endif /* VD_OS_LINUX_DOORBELL_H */
