/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * source: sends a numbered stream to whoever asks for it. The request is text, "COUNT [SIZE
 * [RATE]]": COUNT messages (1000) of SIZE bytes (64), RATE of them a second (0: as fast as they are
 * taken). "0" stops the stream. A message is its number in ten digits, then letters up to its size.
 *
 * The stream is finite because Linux' rpmsg_char queues without limit what a program does not read.
 */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_COUNT 1000
#define DEFAULT_SIZE  64
#define NUMBER_DIGITS 10
#define TICK_MS       10

struct source {
	struct vt_service *service;
	uv_timer_t tick;
	uint32_t dst;
	uint64_t count; /* in all */
	uint64_t next;
	uint64_t rate;    /* a second; 0: no limit */
	uint64_t allowed; /* how many may be sent by now */
	double owed;      /* part of a message that the ticks have added up to */
	uint32_t size;
};

static uint32_t compose(const struct source *source, char *text, uint32_t most)
{
	uint32_t size = source->size < most ? source->size : most;
	char number[NUMBER_DIGITS + 1];

	snprintf(number, sizeof(number), "%010llu", (unsigned long long)source->next);
	for (uint32_t i = 0; i < size; i++)
		text[i] = i < NUMBER_DIGITS ? number[i] : (char)('a' + (source->next + i) % 26);
	return size;
}

/* Send what may be sent now, as one burst. */
static void pump(struct source *source)
{
	struct vt_service *service = source->service;
	char text[65536];
	int err = 0;

	vd_rpmsg_cork(service->link);
	while (err == 0 && source->next < source->allowed) {
		uint32_t len = compose(source, text, vd_rpmsg_max_payload(service->link));

		err = vt_service_send(service, source->dst, text, len);
		source->next += err == 0;
	}
	vd_rpmsg_uncork(service->link);
	if (err != 0 && err != -ENOMEM)
		source->allowed = source->count = source->next;
}

static void on_tick(uv_timer_t *timer)
{
	struct source *source = timer->data;
	uint64_t whole;

	source->owed += (double)source->rate * TICK_MS / 1000;
	whole = (uint64_t)source->owed;
	source->owed -= (double)whole;
	source->allowed += whole;
	if (source->allowed >= source->count) {
		source->allowed = source->count;
		uv_timer_stop(timer);
	}
	pump(source);
	vt_service_settle(source->service);
}

static bool parse_request(const struct vd_rpmsg_msg *msg, struct source *source)
{
	char text[64];
	unsigned long long count = DEFAULT_COUNT;
	unsigned long long size = DEFAULT_SIZE;
	unsigned long long rate = 0;
	size_t len = msg->len < sizeof(text) - 1 ? msg->len : sizeof(text) - 1;

	memcpy(text, msg->data, len);
	text[len] = '\0';
	if (sscanf(text, "%llu %llu %llu", &count, &size, &rate) < 1 &&
	    text[strspn(text, " \t\r\n")] != '\0')
		return false;
	source->count = count;
	source->size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
	source->rate = rate;
	return true;
}

static enum vd_rpmsg_verdict request(struct vt_service *service, const struct vd_rpmsg_msg *msg)
{
	struct source *source = service->state;

	if (!parse_request(msg, source)) {
		service->dropped++;
		vt_report(&service->device->report, "request",
			  json_pack("{s:s}", "service", service->name),
			  "%s: a request should be the text COUNT [SIZE [RATE]]", service->name);
		return VD_RPMSG_RELEASE;
	}
	source->dst = msg->src;
	source->next = 0;
	source->owed = 0;
	uv_timer_stop(&source->tick);
	if (source->rate == 0) {
		source->allowed = source->count;
		pump(source);
	} else {
		source->allowed = 0;
		uv_timer_start(&source->tick, on_tick, 0, TICK_MS);
	}
	return VD_RPMSG_RELEASE;
}

static void writable(struct vt_service *service)
{
	pump(service->state);
}

static void link_changed(struct vt_service *service, bool up)
{
	struct source *source = service->state;

	if (up)
		return;
	uv_timer_stop(&source->tick);
	source->allowed = source->count = source->next = 0;
}

static int open_source(struct vt_service *service, const char *arguments)
{
	struct source *source = calloc(1, sizeof(*source));

	(void)arguments;
	if (source == NULL)
		return -ENOMEM;
	service->state = source;
	source->service = service;
	uv_timer_init(service->device->loop, &source->tick);
	source->tick.data = source;
	return 0;
}

static void close_source(struct vt_service *service)
{
	struct source *source = service->state;

	if (source != NULL)
		uv_close((uv_handle_t *)&source->tick, NULL);
}

const struct vt_service_kind vt_service_source = {
	.name = "source",
	.channel = "rpmsg-raw",
	.summary = "sends a numbered stream to whoever asks",
	.open = open_source,
	.message = request,
	.writable = writable,
	.link_changed = link_changed,
	.close = close_source,
};
