/* SPDX-License-Identifier: BSD-3-Clause */
/* The host role of rpmsg: the driver's ends of the two queues. See viaduct/rpmsg_host.h. */
#include "viaduct/rpmsg_host.h"

#include "rpmsg/role.h"
#include "rpmsg/wire.h"
#include "viaduct/errno.h"

#include <string.h>

#define CACHE_LINE 64u

/* Messages between two looks at whether the link is still there. */
#define BUDGET 256

/* A device may ask for buffers of another size; not for ones that no message needs. */
#define SIZE_LIMIT (VD_RPMSG_HEADER_SIZE + UINT32_C(65535))

/* Whose a buffer is. */
enum use {
	USE_NOBODY,
	USE_DEVICE,   /* it is in its queue */
	USE_RECEIVED, /* a message that is being delivered, or that somebody holds */
	USE_COMPOSED, /* somebody composes in it */
};

static struct vd_vq_drv *rx_queue(struct vd_rpmsg_host *host)
{
	return &host->queues[VD_RPMSG_QUEUE_RX].vq;
}

static struct vd_vq_drv *tx_queue(struct vd_rpmsg_host *host)
{
	return &host->queues[VD_RPMSG_QUEUE_TX].vq;
}

/* ---- buffers ---- */

static void *buffer_at(const struct vd_rpmsg_buffers *buffers, uint32_t number)
{
	return buffers->memory + (size_t)number * buffers->size;
}

/* The tokens in the queues are the buffers' addresses. */
static uint32_t number_of(const struct vd_rpmsg_buffers *buffers, const void *token)
{
	return (uint32_t)((size_t)((const unsigned char *)token - buffers->memory) / buffers->size);
}

static void put_free(struct vd_rpmsg_buffers *buffers, uint32_t number)
{
	uint32_t at = (uint32_t)buffers->first_free + buffers->n_free++;

	buffers->free[at < buffers->count ? at : at - buffers->count] = (uint16_t)number;
	buffers->use[number] = USE_NOBODY;
}

/* The first that is free; there must be one. */
static uint32_t take_free(struct vd_rpmsg_buffers *buffers, enum use use)
{
	uint32_t number = buffers->free[buffers->first_free++];

	if (buffers->first_free == buffers->count)
		buffers->first_free = 0;
	buffers->n_free--;
	buffers->use[number] = (uint8_t)use;
	return number;
}

/* Back to where it was taken from. */
static void untake_free(struct vd_rpmsg_buffers *buffers, uint32_t number)
{
	buffers->first_free = (uint16_t)(buffers->first_free > 0 ? buffers->first_free - 1
								 : buffers->count - 1);
	buffers->free[buffers->first_free] = (uint16_t)number;
	buffers->n_free++;
	buffers->use[number] = USE_NOBODY;
}

static void release_buffers(struct vd_vdev *vdev, struct vd_rpmsg_buffers *buffers)
{
	vdev->shared->free(vdev->shared, buffers->memory, buffers->memory_size);
	vdev->local->free(vdev->local, buffers->free, buffers->local_size);
	*buffers = (struct vd_rpmsg_buffers){.count = 0};
}

static int obtain_buffers(struct vd_vdev *vdev, struct vd_rpmsg_buffers *buffers, uint16_t count,
			  uint32_t size)
{
	*buffers = (struct vd_rpmsg_buffers){
		.memory_size = (size_t)count * size,
		.size = size,
		.count = count,
		.local_size = (sizeof(*buffers->free) + sizeof(*buffers->use)) * count,
	};
	if (buffers->memory_size / count != size)
		return -VD_ENOMEM;
	buffers->memory = vdev->shared->alloc(vdev->shared, buffers->memory_size, CACHE_LINE);
	buffers->free = vdev->local->alloc(vdev->local, buffers->local_size, CACHE_LINE);
	if (buffers->memory == NULL || buffers->free == NULL)
		return -VD_ENOMEM;
	buffers->use = (uint8_t *)(buffers->free + count);
	for (uint32_t i = 0; i < count; i++)
		put_free(buffers, i);
	return 0;
}

/* ---- receiving ---- */

/* Give a buffer to the remote to send in. It can't fail: the queue has an entry for each. */
static void post(struct vd_rpmsg_host *host, uint32_t number)
{
	struct vd_iov segment = {buffer_at(&host->rx, number), host->rx.size};

	host->rx.use[number] = USE_DEVICE;
	(void)vd_vq_drv_add(rx_queue(host), &segment, 0, 1, segment.base);
}

/* What the queue's owner needs to hear, once. */
static int report_broken(struct vd_rpmsg_host *host, const struct vd_vq_drv *vq)
{
	const struct vd_fault *fault = vd_vq_drv_fault(vq);

	if (!host->told)
		vd_rpmsg_fault(&host->link, fault->code, fault->value[0], fault->value[1],
			       fault->value[2]);
	host->told = true;
	return -VD_EPROTO;
}

/* One message. False: the link did not survive it. */
static bool receive(struct vd_rpmsg_host *host, const struct vd_used *used)
{
	struct vd_rpmsg *link = &host->link;
	const struct vd_iov segment = {used->token, used->len};
	uint32_t number = number_of(&host->rx, used->token);
	uint32_t epoch = link->epoch;
	enum vd_rpmsg_verdict verdict;

	host->rx.use[number] = USE_RECEIVED;
	verdict = vd_rpmsg_deliver(link, &segment, 1, used->len, number);
	if (vd_unlikely(link->epoch != epoch))
		return false;
	if (verdict == VD_RPMSG_RELEASE)
		post(host, number);
	return true;
}

static int host_poll(struct vd_rpmsg *link, unsigned budget)
{
	struct vd_rpmsg_host *host = vd_rpmsg_host_of(link);
	struct vd_used used;
	unsigned n = 0;
	int got = 1;

	while (n < budget && (got = vd_vq_drv_get(rx_queue(host), &used)) == 1) {
		n++;
		if (vd_unlikely(!receive(host, &used)))
			return (int)n;
	}
	if (vd_unlikely(got < 0) && n == 0)
		return report_broken(host, rx_queue(host));
	return (int)n;
}

static int host_release(struct vd_rpmsg *link, uint32_t number)
{
	struct vd_rpmsg_host *host = vd_rpmsg_host_of(link);

	if (number >= host->rx.count || host->rx.use[number] != USE_RECEIVED)
		return -VD_EINVAL;
	post(host, number);
	return 0;
}

/* ---- sending ---- */

/* Take back all that the remote has read. */
static void reclaim(struct vd_rpmsg_host *host)
{
	struct vd_used used;
	int got;

	while ((got = vd_vq_drv_get(tx_queue(host), &used)) == 1) {
		vd_prefetch_write(used.token);
		put_free(&host->tx, number_of(&host->tx, used.token));
	}
	if (vd_unlikely(got < 0))
		(void)report_broken(host, tx_queue(host));
}

static int host_tx_peek(struct vd_rpmsg *link, struct vd_rpmsg_frame *frame)
{
	struct vd_rpmsg_host *host = vd_rpmsg_host_of(link);
	struct vd_rpmsg_buffers *tx = &host->tx;

	if (tx->n_free == 0)
		reclaim(host);
	if (tx->n_free == 0)
		return vd_vq_drv_is_broken(tx_queue(host)) ? -VD_EPIPE : -VD_ENOMEM;
	host->frame = (struct vd_iov){buffer_at(tx, tx->free[tx->first_free]), tx->size};
	*frame = (struct vd_rpmsg_frame){.iov = &host->frame, .n_iov = 1, .size = tx->size};
	return 0;
}

/* It can't fail either. */
static void transmit(struct vd_rpmsg_host *host, uint32_t number, uint32_t len)
{
	struct vd_iov segment = {buffer_at(&host->tx, number), len};

	host->tx.use[number] = USE_DEVICE;
	(void)vd_vq_drv_add(tx_queue(host), &segment, 1, 0, segment.base);
}

static void host_tx_send(struct vd_rpmsg *link, uint32_t len)
{
	struct vd_rpmsg_host *host = vd_rpmsg_host_of(link);

	transmit(host, take_free(&host->tx, USE_DEVICE), len);
}

static int host_tx_take(struct vd_rpmsg *link, uint32_t *number)
{
	*number = take_free(&vd_rpmsg_host_of(link)->tx, USE_COMPOSED);
	return 0;
}

static void host_taken_frame(struct vd_rpmsg *link, uint32_t number, struct vd_rpmsg_frame *frame)
{
	struct vd_rpmsg_host *host = vd_rpmsg_host_of(link);

	host->frame = (struct vd_iov){buffer_at(&host->tx, number), host->tx.size};
	*frame = (struct vd_rpmsg_frame){.iov = &host->frame, .n_iov = 1, .size = host->tx.size};
}

static void host_taken_send(struct vd_rpmsg *link, uint32_t number, uint32_t len)
{
	transmit(vd_rpmsg_host_of(link), number, len);
}

static void host_taken_return(struct vd_rpmsg *link, uint32_t number)
{
	untake_free(&vd_rpmsg_host_of(link)->tx, number);
}

static void host_flush(struct vd_rpmsg *link)
{
	struct vd_rpmsg_host *host = vd_rpmsg_host_of(link);

	/* What we send first: somebody waits for it. What we post only makes room. */
	vd_vdev_kick(&host->queues[VD_RPMSG_QUEUE_TX]);
	vd_vdev_kick(&host->queues[VD_RPMSG_QUEUE_RX]);
}

static bool host_tx_arm(struct vd_rpmsg *link, bool on)
{
	struct vd_rpmsg_host *host = vd_rpmsg_host_of(link);

	/* When most are back, not when one is: whoever waits has more to send than fits (Linux asks
	 * for each one, rpmsg_upref_sleepers()). */
	host->tx_armed = on && !vd_vq_drv_enable_cb_delayed(tx_queue(host));
	if (!host->tx_armed)
		vd_vq_drv_disable_cb(tx_queue(host));
	return on && !host->tx_armed;
}

static const struct vd_rpmsg_role host_role = {
	.poll = host_poll,
	.tx_peek = host_tx_peek,
	.tx_send = host_tx_send,
	.tx_take = host_tx_take,
	.taken_frame = host_taken_frame,
	.taken_send = host_taken_send,
	.taken_return = host_taken_return,
	.release = host_release,
	.flush = host_flush,
	.tx_arm = host_tx_arm,
};

/* ---- notifications ---- */

/* Messages arrived: take them until there are none, then ask to be told of the next. */
static void messages_arrived(struct vd_vdev_vq *queue)
{
	struct vd_rpmsg_host *host = queue->vdev->priv;

	/* Whoever polls now, in a callback of whom this is, will come to them. */
	if (host->config.polled || host->link.polling)
		return;
	do {
		vd_vq_drv_disable_cb(&queue->vq);
		while (vd_rpmsg_poll(&host->link, BUDGET) == BUDGET)
			;
	} while (host->link.up && vd_vq_drv_enable_cb(&queue->vq) &&
		 !vd_vq_drv_is_broken(&queue->vq));
}

static void buffers_returned(struct vd_vdev_vq *queue)
{
	struct vd_rpmsg_host *host = queue->vdev->priv;

	if (!host->link.up || !host->tx_armed)
		return;
	(void)host_tx_arm(&host->link, false);
	vd_rpmsg_look_for_buffers(&host->link);
}

/* ---- the device ---- */

static uint32_t clamp_size(uint64_t size)
{
	return size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
}

/* How long buffers are: what the device says, else what we were told. */
static int choose_sizes(struct vd_rpmsg_host *host, uint32_t *rx, uint32_t *tx)
{
	struct vd_vdev *vdev = host->vdev;
	uint64_t h2r;
	uint64_t r2h;
	int err;

	*rx = *tx = host->config.buffer_size != 0 ? host->config.buffer_size : VD_RPMSG_BUFFER_SIZE;
	if (!vd_vdev_has(vdev, VD_RPMSG_F_BUFSZ))
		return 0;
	err = vd_vdev_config_get(vdev, &vd_rpmsg_type.fields[0], 0, &h2r);
	if (err == 0)
		err = vd_vdev_config_get(vdev, &vd_rpmsg_type.fields[1], 0, &r2h);
	if (err != 0)
		return err;
	*tx = clamp_size(h2r);
	*rx = clamp_size(r2h);
	return 0;
}

static int check_size(struct vd_rpmsg_host *host, uint32_t size)
{
	if (size > VD_RPMSG_HEADER_SIZE && size <= SIZE_LIMIT)
		return 0;
	vd_rpmsg_fault(&host->link, VD_FAULT_RPMSG_BUFFER_SIZE, size, SIZE_LIMIT, 0);
	return -VD_EPROTO;
}

static void let_go(struct vd_rpmsg_host *host)
{
	struct vd_vdev *vdev = host->vdev;

	vd_vdev_del_vqs(vdev);
	release_buffers(vdev, &host->rx);
	release_buffers(vdev, &host->tx);
}

static int get_queues(struct vd_rpmsg_host *host)
{
	const struct vd_vq_request requests[VD_RPMSG_N_QUEUES] = {
		{.name = "input", .callback = messages_arrived, .size = host->config.queue_size},
		{.name = "output", .callback = buffers_returned, .size = host->config.queue_size},
	};

	return vd_vdev_find_vqs(host->vdev, VD_RPMSG_N_QUEUES, requests, host->queues);
}

static int get_buffers(struct vd_rpmsg_host *host)
{
	uint32_t rx = 0;
	uint32_t tx = 0;
	int err = choose_sizes(host, &rx, &tx);

	if (err == 0)
		err = check_size(host, rx);
	if (err == 0)
		err = check_size(host, tx);
	if (err == 0)
		err = obtain_buffers(host->vdev, &host->rx, rx_queue(host)->size, rx);
	if (err == 0)
		err = obtain_buffers(host->vdev, &host->tx, tx_queue(host)->size, tx);
	return err;
}

/* Queues, buffers, and all of those that are for receiving posted. */
static int take_up(struct vd_rpmsg_host *host)
{
	int err = get_queues(host);

	if (err == 0)
		err = get_buffers(host);
	if (err != 0) {
		let_go(host);
		return err;
	}
	host->told = false;
	while (host->rx.n_free > 0)
		post(host, take_free(&host->rx, USE_DEVICE));
	(void)host_tx_arm(&host->link, false);
	if (host->config.polled)
		vd_vq_drv_disable_cb(rx_queue(host));
	return 0;
}

static void come_up(struct vd_rpmsg_host *host)
{
	struct vd_vdev *vdev = host->vdev;

	/* A channel may be announced as soon as the link is up: the device must run by then. */
	vd_vdev_ready(vdev);
	host->link.tx_size = host->tx.size;
	vd_rpmsg_link_up(&host->link, vd_vdev_has(vdev, VD_RPMSG_F_NS),
			 vdev->big_endian && !vd_vdev_has(vdev, VD_F_VERSION_1));
}

static struct vd_rpmsg_host *idle_host(struct vd_vdev *vdev)
{
	struct vd_rpmsg_driver *driver = (struct vd_rpmsg_driver *)(void *)vdev->driver;
	struct vd_rpmsg_host *host = driver->hosts;

	while (host != NULL && host->vdev != NULL)
		host = host->next;
	return host;
}

static int probe(struct vd_vdev *vdev)
{
	struct vd_rpmsg_host *host = idle_host(vdev);
	int err;

	if (host == NULL)
		return -VD_EBUSY;
	host->vdev = vdev;
	vdev->priv = host;
	err = take_up(host);
	if (err != 0) {
		host->vdev = NULL;
		return err;
	}
	come_up(host);
	return 0;
}

static void go_down(struct vd_vdev *vdev)
{
	struct vd_rpmsg_host *host = vdev->priv;

	vd_rpmsg_link_down(&host->link);
	(void)vd_vdev_reset(vdev);
	let_go(host);
}

static void remove(struct vd_vdev *vdev)
{
	struct vd_rpmsg_host *host = vdev->priv;

	go_down(vdev);
	host->vdev = NULL;
}

static int freeze(struct vd_vdev *vdev)
{
	go_down(vdev);
	return 0;
}

static int restore(struct vd_vdev *vdev)
{
	struct vd_rpmsg_host *host = vdev->priv;
	int err = take_up(host);

	if (err == 0)
		come_up(host);
	return err;
}

/* ---- set-up ---- */

void vd_rpmsg_driver_init(struct vd_rpmsg_driver *driver)
{
	static const struct vd_device_id ids[] = {{VD_ID_RPMSG, VD_ID_ANY}, {0, 0}};
	static const uint8_t features[] = {VD_RPMSG_F_NS, VD_RPMSG_F_BUFSZ};

	*driver = (struct vd_rpmsg_driver){
		.driver =
			{
				.name = "virtio_rpmsg_bus",
				.ids = ids,
				.features = features,
				.n_features = sizeof(features),
				.probe = probe,
				.remove = remove,
				.freeze = freeze,
				.restore = restore,
			},
	};
}

void vd_rpmsg_driver_add(struct vd_rpmsg_driver *driver, struct vd_rpmsg_host *host)
{
	struct vd_rpmsg_host **end = &driver->hosts;

	while (*end != NULL)
		end = &(*end)->next;
	host->next = NULL;
	*end = host;
}

int vd_rpmsg_driver_remove(struct vd_rpmsg_driver *driver, struct vd_rpmsg_host *host)
{
	struct vd_rpmsg_host **at = &driver->hosts;

	if (host->vdev != NULL)
		return -VD_EBUSY;
	while (*at != NULL && *at != host)
		at = &(*at)->next;
	if (*at == NULL)
		return -VD_ENOENT;
	*at = host->next;
	return 0;
}

size_t vd_rpmsg_host_memory(const struct vd_rpmsg_host_config *config)
{
	struct vd_rpmsg sketch;
	struct vd_carve carve = {.base = NULL};

	if (config->buffer_size != 0 && config->buffer_size <= VD_RPMSG_HEADER_SIZE)
		return 0;
	vd_rpmsg_carve(&sketch, &config->link, &carve);
	return carve.used;
}

int vd_rpmsg_host_init(struct vd_rpmsg_host *host, const struct vd_rpmsg_host_config *config,
		       void *memory, size_t size)
{
	struct vd_carve carve = {.base = memory};
	size_t need = vd_rpmsg_host_memory(config);

	if (need == 0 || memory == NULL || size < need || (uintptr_t)memory % VD_CARVE_ALIGN != 0)
		return -VD_EINVAL;
	memset(host, 0, sizeof(*host));
	host->config = *config;
	vd_rpmsg_carve(&host->link, &config->link, &carve);
	vd_rpmsg_init(&host->link, &config->link, &host_role);
	return 0;
}
