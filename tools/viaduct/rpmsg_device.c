/* SPDX-License-Identifier: BSD-3-Clause */
/* The rpmsg device of the tool: a remote whose channels are served by services. */
#include "service.h"
#include "ui.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Messages that may wait for a service that can't deal with them yet, over all services. */
#define PLACES 256

/* User Mode Linux always makes queues of this size. */
#define QUEUE_SIZE 256

#define CHANNELS 256

struct rpmsg {
	struct vd_rpmsg_remote remote; /* first: links and devices are found by it */
	struct vt_device *device;
	void *memory;
	struct vt_service **services;
	unsigned n_services;
	bool stalled; /* reception stopped for want of places, and can go on */
};

static struct rpmsg *rpmsg_of_link(struct vd_rpmsg *link)
{
	return (struct rpmsg *)vd_rpmsg_remote_of(link);
}

/* Messages had to stop and can go on: act as if the driver had notified us. */
static void settle(struct rpmsg *rpmsg)
{
	while (rpmsg->stalled) {
		rpmsg->stalled = false;
		while (vd_device_kick(&rpmsg->remote.dev, vd_notification(VD_RPMSG_QUEUE_TX, 0)))
			;
	}
}

void vt_service_settle(struct vt_service *service)
{
	settle(rpmsg_of_link(service->link));
}

/* ---- events of the link ---- */

static enum vd_rpmsg_verdict message(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	struct vt_service *service = (struct vt_service *)ept;

	service->received++;
	return service->kind->message(service, msg);
}

static void link_changed(struct vd_rpmsg *link, bool up)
{
	struct rpmsg *rpmsg = rpmsg_of_link(link);

	vt_report_progress(&rpmsg->device->report, "link", json_pack("{s:b}", "up", up),
			   up ? "link up" : "link down");
	for (unsigned i = 0; i < rpmsg->n_services; i++) {
		struct vt_service *service = rpmsg->services[i];

		if (!up)
			vt_service_forget(service);
		if (service->kind->link_changed != NULL)
			service->kind->link_changed(service, up);
	}
}

static void pausing(struct vd_rpmsg *link)
{
	struct rpmsg *rpmsg = rpmsg_of_link(link);

	for (unsigned i = 0; i < rpmsg->n_services; i++)
		vt_service_keep_copies(rpmsg->services[i]);
}

static void writable(struct vd_rpmsg *link)
{
	struct rpmsg *rpmsg = rpmsg_of_link(link);

	for (unsigned i = 0; i < rpmsg->n_services; i++) {
		struct vt_service *service = rpmsg->services[i];

		vt_service_retry(service);
		if (service->kind->writable != NULL)
			service->kind->writable(service);
	}
}

/* Names come from the peer: show nothing that a terminal could act on. */
static void printable(char *to, const char *from, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && from[i] != '\0'; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
}

static void channel(struct vd_rpmsg *link, const struct vd_rpmsg_channel *channel, bool created)
{
	char name[VD_RPMSG_NAME_SIZE];

	printable(name, channel->name, sizeof(name));
	vt_report(&rpmsg_of_link(link)->device->report, "channel",
		  json_pack("{s:s, s:I, s:b}", "name", name, "addr", (json_int_t)channel->addr,
			    "created", created),
		  "the peer %s channel %s at 0x%x", created ? "announced" : "took back", name,
		  channel->addr);
}

static void fault(struct vd_rpmsg *link, const struct vd_fault *fault)
{
	vt_report_fault(&rpmsg_of_link(link)->device->report, fault);
}

static const struct vd_rpmsg_events events = {
	.link_changed = link_changed,
	.pausing = pausing,
	.channel = channel,
	.writable = writable,
	.fault = fault,
};

/* ---- services ---- */

static int open_service(struct vt_service *service, const char *arguments)
{
	int err;

	if (arguments != NULL && service->kind->open == NULL) {
		vt_error("a service of kind %s takes no '%s'", service->kind->name, arguments);
		return -EINVAL;
	}
	if (service->kind->open != NULL) {
		err = service->kind->open(service, arguments);
		if (err != 0)
			return err;
	}
	err = vd_rpmsg_create_ept(service->link, &service->ept, service->name, service->addr,
				  VD_RPMSG_ADDR_ANY, message, VD_RPMSG_IN_PLACE);
	if (err != 0)
		vt_error("can't open service %s at 0x%x: %s", service->name, service->addr,
			 strerror(-err));
	return err;
}

static int add_service(struct rpmsg *rpmsg, char *text)
{
	struct vt_service *service = calloc(1, sizeof(*service));
	struct vt_service **more = realloc(rpmsg->services,
					   (rpmsg->n_services + 1) * sizeof(*more));
	char *arguments;
	int err;

	if (more != NULL)
		rpmsg->services = more;
	if (service == NULL || more == NULL) {
		free(service);
		return -ENOMEM;
	}
	rpmsg->services[rpmsg->n_services++] = service;
	service->device = rpmsg->device;
	service->link = &rpmsg->remote.link;
	service->stalled = &rpmsg->stalled;
	service->n_places = PLACES;
	service->waiting = calloc(PLACES, sizeof(*service->waiting));
	if (service->waiting == NULL)
		return -ENOMEM;
	err = vt_rpmsg_parse_service(service, text, &arguments);
	return err == 0 ? open_service(service, arguments) : err;
}

/* ---- the device ---- */

static int init_remote(struct rpmsg *rpmsg, const struct vd_rpmsg_remote_config *config)
{
	size_t size = vd_rpmsg_remote_memory(config);

	rpmsg->memory = aligned_alloc(64, (size + 63) / 64 * 64);
	if (rpmsg->memory == NULL)
		return -ENOMEM;
	return vd_rpmsg_remote_init(&rpmsg->remote, config, rpmsg->memory, size);
}

static int add_services(struct rpmsg *rpmsg, const struct vt_spec *spec)
{
	int err = 0;

	for (unsigned i = 0; err == 0 && i < spec->n_options; i++)
		if (strcmp(spec->options[i].key, "service") == 0)
			err = add_service(rpmsg, spec->options[i].value);
	return err;
}

static void rpmsg_close(struct vt_device *device);
static void rpmsg_destroy(struct vt_device *device);

static int build(struct rpmsg *rpmsg, const struct vt_spec *spec)
{
	struct vd_rpmsg_remote_config config = VD_RPMSG_REMOTE_DEFAULTS;
	int err = 0;

	config.link.events = &events;
	config.link.n_channels = CHANNELS;
	config.queue_size = QUEUE_SIZE;
	config.n_held = PLACES;
	for (unsigned i = 0; err == 0 && i < spec->n_options; i++)
		err = vt_rpmsg_parse_option(&config, &spec->options[i]);
	if (err == 0)
		err = init_remote(rpmsg, &config);
	if (err == 0)
		err = add_services(rpmsg, spec);
	return err;
}

static int rpmsg_create(struct vt_device *device, const struct vt_spec *spec)
{
	struct rpmsg *rpmsg = aligned_alloc(64, (sizeof(*rpmsg) + 63) / 64 * 64);
	int err;

	if (rpmsg == NULL)
		return -ENOMEM;
	memset(rpmsg, 0, sizeof(*rpmsg));
	rpmsg->device = device;
	device->state = rpmsg;
	err = build(rpmsg, spec);
	if (err != 0) {
		rpmsg_close(device);
		/* One turn closes handles; the loop may have others, which have all the time. */
		uv_run(device->loop, UV_RUN_NOWAIT);
		rpmsg_destroy(device);
		device->kind = NULL;
		return err;
	}
	device->dev = &rpmsg->remote.dev;
	return 0;
}

static void rpmsg_close(struct vt_device *device)
{
	struct rpmsg *rpmsg = device->state;

	for (unsigned i = 0; i < rpmsg->n_services; i++) {
		struct vt_service *service = rpmsg->services[i];

		(void)vd_rpmsg_destroy_ept(&service->ept);
		if (service->kind != NULL && service->kind->close != NULL)
			service->kind->close(service);
	}
}

static void rpmsg_destroy(struct vt_device *device)
{
	struct rpmsg *rpmsg = device->state;

	for (unsigned i = 0; i < rpmsg->n_services; i++) {
		free(rpmsg->services[i]->waiting);
		free(rpmsg->services[i]->state);
		free(rpmsg->services[i]);
	}
	free(rpmsg->services);
	free(rpmsg->memory);
	free(rpmsg);
}

static void rpmsg_after_poll(struct vt_device *device)
{
	settle(device->state);
}

static void rpmsg_tell(struct vt_device *device)
{
	struct rpmsg *rpmsg = device->state;
	const struct vd_rpmsg_stats *stats = &rpmsg->remote.link.stats;

	vt_report(&device->report, "statistics",
		  json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "rx_messages",
			    (json_int_t)stats->rx_messages, "rx_bytes", (json_int_t)stats->rx_bytes,
			    "tx_messages", (json_int_t)stats->tx_messages, "tx_bytes",
			    (json_int_t)stats->tx_bytes, "rx_dropped",
			    (json_int_t)stats->rx_dropped, "faults",
			    (json_int_t)device->dev->n_faults),
		  "received %llu messages (%llu bytes, %llu dropped), sent %llu (%llu bytes)",
		  (unsigned long long)stats->rx_messages, (unsigned long long)stats->rx_bytes,
		  (unsigned long long)stats->rx_dropped, (unsigned long long)stats->tx_messages,
		  (unsigned long long)stats->tx_bytes);
	for (unsigned i = 0; i < rpmsg->n_services; i++) {
		const struct vt_service *service = rpmsg->services[i];

		vt_report(&device->report, "service",
			  json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:i}", "kind",
				    service->kind->name, "name", service->name, "addr",
				    (json_int_t)service->ept.addr, "received",
				    (json_int_t)service->received, "sent",
				    (json_int_t)service->sent, "dropped",
				    (json_int_t)service->dropped, "waiting",
				    (int)service->n_waiting),
			  "  %s (%s) at 0x%x: received %llu, sent %llu, waiting %u", service->name,
			  service->kind->name, service->ept.addr,
			  (unsigned long long)service->received, (unsigned long long)service->sent,
			  service->n_waiting);
	}
}

const struct vt_device_kind vt_device_rpmsg = {
	.name = "rpmsg",
	.id = VD_ID_RPMSG,
	.arguments = "[,service=KIND[:NAME][@ADDR]]...",
	.summary = "      channels that the kernel's rpmsg bus finds, each with a service:\n"
		   "        echo           returns each message to its sender (rpmsg-raw)\n"
		   "        sink           takes everything (rpmsg-raw)\n"
		   "        source         sends a numbered stream to whoever asks with\n"
		   "                       \"COUNT [SIZE [RATE]]\" (rpmsg-raw)\n"
		   "        tty[:link=PATH|:exec=COMMAND]\n"
		   "                       a terminal: a pty, with a link to it at PATH, or\n"
		   "                       with COMMAND in it (rpmsg-tty)\n"
		   "        client-sample  what the kernel's sample client expects\n"
		   "                       (rpmsg-client-sample)\n"
		   "      NAME is announced instead of the name in parentheses; ADDR is the\n"
		   "      service's address, otherwise the next free one from 1024 on. Also:\n"
		   "        size=BYTES     buffers of another size than 512, if the driver can\n"
		   "        off=FEATURE    do not offer RING_PACKED, EVENT_IDX, ...\n"
		   "        spin=TIMES     look so often at an empty queue before sleeping\n"
		   "      A comma in a value is written twice.\n",
	.create = rpmsg_create,
	.close = rpmsg_close,
	.destroy = rpmsg_destroy,
	.after_poll = rpmsg_after_poll,
	.tell = rpmsg_tell,
};
