/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Services: what listens on the channels of the rpmsg device. Each kind lives in a file of its own
 * and is one row of the table in rpmsg_device.c.
 */
#ifndef VIADUCT_SERVICE_H
#define VIADUCT_SERVICE_H

#include "tool_device.h"
#include "viaduct/rpmsg_remote.h"

struct vt_service;

struct vt_service_kind {
	const char *name;
	const char *channel; /* announced as this unless another name is given */
	const char *summary; /* one line */
	/* Optional: @arguments stood behind the name (NULL: none did). 0, or says what is wrong and
	 * returns a negative errno. Without it arguments are refused. */
	int (*open)(struct vt_service *service, const char *arguments);
	/* A message came. Answer as a vd_rpmsg_callback does. */
	enum vd_rpmsg_verdict (*message)(struct vt_service *service,
					 const struct vd_rpmsg_msg *msg);
	/* Optional: the oldest message waiting (vt_service_wait()) may be dealt with now. True: it
	 * was. */
	bool (*retry)(struct vt_service *service, const struct vd_rpmsg_msg *msg);
	/* Optional: there are buffers to send in again. */
	void (*writable)(struct vt_service *service);
	/* Optional: the peer is there, or gone. */
	void (*link_changed)(struct vt_service *service, bool up);
	/* Optional: close the handles it has on the loop. */
	void (*close)(struct vt_service *service);
};

/* A message that waits to be dealt with: held in place, or, if it can't be, a copy. */
struct vt_waiting {
	struct vd_rpmsg_msg msg;
	void *copy;
};

struct vt_service {
	struct vd_rpmsg_ept ept; /* first: a callback finds the service by it */
	const struct vt_service_kind *kind;
	struct vt_device *device;
	struct vd_rpmsg *link;
	char name[VD_RPMSG_NAME_SIZE];
	uint32_t addr;
	void *state;   /* the kind's own; freed with the service */
	bool *stalled; /* set when reception stopped for want of places, and can go on */

	struct vt_waiting *waiting; /* a ring of @n_places */
	unsigned n_places;
	unsigned first_waiting;
	unsigned n_waiting;

	uint64_t received;
	uint64_t sent;
	uint64_t dropped;
};

/* Every kind there is; ends with NULL. */
extern const struct vt_service_kind *const vt_service_kinds[];

extern const struct vt_service_kind vt_service_echo;
extern const struct vt_service_kind vt_service_sink;
extern const struct vt_service_kind vt_service_source;
extern const struct vt_service_kind vt_service_tty;
extern const struct vt_service_kind vt_service_sample;

/*
 * Let @msg wait behind those that wait already; what the message callback is to answer. It comes
 * back through kind->retry(), in order.
 */
enum vd_rpmsg_verdict vt_service_wait(struct vt_service *service, const struct vd_rpmsg_msg *msg);

/* Deal with those that wait, oldest first, as long as retry() does. */
void vt_service_retry(struct vt_service *service);

/* Those that wait are void. */
void vt_service_forget(struct vt_service *service);

/* Those that wait in place are about to be void: keep copies of them. */
void vt_service_keep_copies(struct vt_service *service);

/* Send, counting. What vd_rpmsg_trysendto() returns. */
int vt_service_send(struct vt_service *service, uint32_t dst, const void *data, uint32_t len);

/* Messages had to stop for want of places and can go on: to be called last by whatever runs outside
 * of a callback of the link. */
void vt_service_settle(struct vt_service *service);

/* ---- the rpmsg part of a SPEC: rpmsg_spec.c ---- */

/* Read an option that shapes the device. 0, or says what is wrong and returns a negative errno.
 * service= is only looked at: services are made when the device exists. */
int vt_rpmsg_parse_option(struct vd_rpmsg_remote_config *config,
			  const struct vt_spec_option *option);

/* Read "KIND[:NAME][@ADDR][:ARGUMENTS]" into kind, name and addr, cutting up @text; *@arguments is
 * what is left for the kind, or NULL. Errors likewise. */
int vt_rpmsg_parse_service(struct vt_service *service, char *text, char **arguments);

#endif /* VIADUCT_SERVICE_H */
