/* SPDX-License-Identifier: BSD-3-Clause */
/* The rpmsg device of the tool: a remote whose channels are served by services. */
#include "service.h"
#include "ui.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct vt_service_kind *const service_kinds[] = {
	&vt_service_echo, &vt_service_sink,   &vt_service_source,
	&vt_service_tty,  &vt_service_sample, NULL,
};

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

/* ---- messages that wait ---- */

static bool release(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	int err = vd_rpmsg_release(msg);

	if (err == 1)
		rpmsg_of_link(service->link)->stalled = true;
	return err >= 0;
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

static void forget_first(struct vt_service *service)
{
	struct vt_waiting *place = &service->waiting[service->first_waiting];

	if (place->copy == NULL)
		(void)release(service, &place->msg);
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

/* Go on as if the driver had notified us. */
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

		while (!up && service->n_waiting > 0)
			forget_first(service);
		if (service->kind->link_changed != NULL)
			service->kind->link_changed(service, up);
	}
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
	.channel = channel,
	.writable = writable,
	.fault = fault,
};

/* ---- SPEC ---- */

static const struct vt_service_kind *find_kind(const char *name, size_t length)
{
	for (size_t i = 0; service_kinds[i] != NULL; i++)
		if (strlen(service_kinds[i]->name) == length &&
		    strncmp(service_kinds[i]->name, name, length) == 0)
			return service_kinds[i];
	return NULL;
}

static int bad_service(const char *text)
{
	vt_error("'service=%s' should be service=KIND[:NAME][@ADDR], with one of the kinds that "
		 "`viaduct device --help` lists, a name of at most %d bytes, and an address",
		 text, VD_RPMSG_NAME_SIZE - 1);
	return -EINVAL;
}

/* What of @text is a name; the rest, behind a colon, is arguments. */
static bool is_arguments(const char *text)
{
	return strncmp(text, "exec=", 5) == 0 || strncmp(text, "link=", 5) == 0;
}

/* "[NAME][@ADDR]", behind the kind. */
static bool parse_name(struct vt_service *service, char *text)
{
	char *at = strchr(text, '@');
	uint64_t addr;

	if (at != NULL) {
		if (!vt_spec_number(at + 1, 0, VD_RPMSG_ADDR_ANY - 1, &addr) ||
		    addr == VD_RPMSG_NS_ADDR)
			return false;
		service->addr = (uint32_t)addr;
		*at = '\0';
	}
	if (strlen(text) >= sizeof(service->name))
		return false;
	if (*text != '\0')
		strcpy(service->name, text);
	return true;
}

/* "KIND[:NAME][@ADDR][:ARGUMENTS]" */
static int parse_service(struct vt_service *service, char *text, char **arguments)
{
	size_t length = strcspn(text, ":@");
	char *rest = text + length;
	char saved[256];

	snprintf(saved, sizeof(saved), "%s", text);
	service->kind = find_kind(text, length);
	service->addr = VD_RPMSG_ADDR_ANY;
	*arguments = NULL;
	if (service->kind == NULL)
		return bad_service(saved);
	strcpy(service->name, service->kind->channel);
	if (*rest == ':')
		*rest++ = '\0';
	if (is_arguments(rest)) {
		*arguments = rest;
		return 0;
	}
	*arguments = strchr(rest, ':');
	if (*arguments != NULL)
		*(*arguments)++ = '\0';
	return parse_name(service, rest) ? 0 : bad_service(saved);
}

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
	service->n_places = PLACES;
	service->waiting = calloc(PLACES, sizeof(*service->waiting));
	if (service->waiting == NULL)
		return -ENOMEM;
	err = parse_service(service, text, &arguments);
	return err == 0 ? open_service(service, arguments) : err;
}

static bool feature_bit(const char *name, uint64_t features, uint64_t *bit)
{
	for (unsigned i = 0; name != NULL && i < 64; i++) {
		const char *known = vd_feature_name(&vd_rpmsg_type, i);

		if ((features & VD_BIT(i)) && known != NULL && strcmp(known, name) == 0) {
			*bit = VD_BIT(i);
			return true;
		}
	}
	return false;
}

static int bad_option(const struct vt_spec_option *option, const char *should)
{
	vt_error("rpmsg: '%s%s%s' should be %s", option->key, option->value != NULL ? "=" : "",
		 option->value != NULL ? option->value : "", should);
	return -EINVAL;
}

/* Options that shape the device; services come later, when it exists. */
static int parse_option(struct vd_rpmsg_remote_config *config, const struct vt_spec_option *option)
{
	uint64_t value;

	if (strcmp(option->key, "service") == 0)
		return option->value != NULL ? 0 : bad_option(option, "service=KIND[:NAME][@ADDR]");
	if (strcmp(option->key, "off") == 0) {
		if (!feature_bit(option->value, config->features, &value))
			return bad_option(option, "off=FEATURE, such as off=RING_PACKED");
		config->features &= ~value;
		return 0;
	}
	if (strcmp(option->key, "size") == 0) {
		if (!vt_spec_number(option->value, VD_RPMSG_HEADER_SIZE + 1, 65536, &value))
			return bad_option(option, "size=BYTES, from 17 to 65536");
		config->h2r_size = (uint32_t)value;
		config->r2h_size = (uint32_t)value;
		config->link.max_payload = (uint32_t)value;
		return 0;
	}
	if (strcmp(option->key, "spin") == 0) {
		if (!vt_spec_number(option->value, 0, UINT16_MAX, &value))
			return bad_option(option, "spin=TIMES, from 0 to 65535");
		config->idle_polls = (uint16_t)value;
		return 0;
	}
	return bad_option(option, "service=, off=, size= or spin=");
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
		err = parse_option(&config, &spec->options[i]);
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
		uv_run(device->loop, UV_RUN_DEFAULT);
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
