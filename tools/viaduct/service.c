/* SPDX-License-Identifier: BSD-3-Clause */
/* What all services share: sending, and messages that wait. See service.h. */
#include "service.h"

#include <stdlib.h>
#include <string.h>

static void release(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	if (vd_rpmsg_release(msg) == 1)
		*service->stalled = true;
}

enum vd_rpmsg_verdict vt_service_wait(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	struct vt_waiting *place = &service->waiting[(service->first_waiting + service->n_waiting) %
						     service->n_places];
	void *copy = msg->in_place ? NULL : malloc(msg->len > 0 ? msg->len : 1);

	if (service->n_waiting == service->n_places || (!msg->in_place && copy == NULL)) {
		free(copy);
		service->dropped++;
		vt_report(&service->device->report, "dropped",
			  json_pack("{s:s}", "service", service->name),
			  "%s: no room for a message of %u bytes; it is lost", service->name,
			  msg->len);
		return VD_RPMSG_RELEASE;
	}
	*place = (struct vt_waiting){.msg = *msg, .copy = copy};
	if (copy != NULL) {
		memcpy(copy, msg->data, msg->len);
		place->msg.data = copy;
	}
	service->n_waiting++;
	return copy == NULL ? VD_RPMSG_HOLD : VD_RPMSG_RELEASE;
}

/* The oldest one is dealt with, or void. */
static void forget_first(struct vt_service *service)
{
	struct vt_waiting *place = &service->waiting[service->first_waiting];

	if (place->copy == NULL)
		release(service, &place->msg);
	free(place->copy);
	service->first_waiting = (service->first_waiting + 1) % service->n_places;
	service->n_waiting--;
}

void vt_service_retry(struct vt_service *service)
{
	while (service->n_waiting > 0 &&
	       service->kind->retry(service, &service->waiting[service->first_waiting].msg))
		forget_first(service);
}

int vt_service_send(struct vt_service *service, uint32_t dst, const void *data, uint32_t len)
{
	int err = vd_rpmsg_trysendto(&service->ept, data, len, dst);

	service->sent += err == 0;
	return err;
}

void vt_service_forget(struct vt_service *service)
{
	while (service->n_waiting > 0)
		forget_first(service);
}

void vt_service_keep_copies(struct vt_service *service)
{
	for (unsigned i = 0; i < service->n_waiting; i++) {
		struct vt_waiting *place =
			&service->waiting[(service->first_waiting + i) % service->n_places];

		if (place->copy != NULL)
			continue;
		place->copy = malloc(place->msg.len > 0 ? place->msg.len : 1);
		if (place->copy == NULL)
			abort(); /* a few hundred bytes: nothing else would work either */
		memcpy(place->copy, place->msg.data, place->msg.len);
		place->msg.data = place->copy;
	}
}
