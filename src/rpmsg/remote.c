/* SPDX-License-Identifier: BSD-3-Clause */
/* The remote role of rpmsg: the device's ends of the two queues. See viaduct/rpmsg_remote.h. */
#include "viaduct/rpmsg_remote.h"

#include "rpmsg/role.h"
#include "rpmsg/wire.h"
#include "viaduct/errno.h"

#include <string.h>

#define NO_PLACE UINT32_MAX

static struct vd_rpmsg_remote *remote_of_dev(struct vd_device *dev)
{
	return (struct vd_rpmsg_remote *)(void *)((char *)dev -
						  offsetof(struct vd_rpmsg_remote, dev));
}

static struct vd_vq_dev *rx_queue(struct vd_rpmsg_remote *remote)
{
	return vd_device_vq(&remote->dev, VD_RPMSG_QUEUE_TX);
}

static struct vd_vq_dev *tx_queue(struct vd_rpmsg_remote *remote)
{
	return vd_device_vq(&remote->dev, VD_RPMSG_QUEUE_RX);
}

/* ---- places for buffers that are held or composed in ---- */

static void free_place(struct vd_rpmsg_places *places, uint32_t place)
{
	places->held[place].used = false;
	places->held[place].next_free = places->free;
	places->free = place;
	places->n_free++;
}

static void free_places(struct vd_rpmsg_places *places, uint32_t n)
{
	places->free = NO_PLACE;
	places->n_free = 0;
	while (n-- > 0)
		free_place(places, n);
}

/* Reserve a place; there must be one. */
static uint32_t take_place(struct vd_rpmsg_places *places)
{
	uint32_t place = places->free;

	places->free = places->held[place].next_free;
	places->n_free--;
	return place;
}

/* Move a popped buffer from its batch to a reserved place. */
static void keep(struct vd_rpmsg_places *places, uint32_t place, const struct vd_chain *chain)
{
	struct vd_rpmsg_held *held = &places->held[place];

	held->used = true;
	held->chain = *chain;
	held->chain.iov = held->iov;
	memcpy(held->iov, chain->iov, sizeof(held->iov));
}

/* No buffer is ours any more. */
static void forget_all(struct vd_rpmsg_remote *remote)
{
	free_places(&remote->received, remote->config.n_held);
	free_places(&remote->composed, remote->config.n_held);
	remote->rx.first = remote->rx.count = 0;
	remote->tx.first = remote->tx.count = 0;
	remote->delivering = false;
}

/* ---- receiving ---- */

static void give_back(struct vd_vq_dev *vq, const struct vd_chain *chain)
{
	(void)vd_vq_dev_push(vq, chain, 0);
}

static void bad_shape(struct vd_rpmsg_remote *remote, uint16_t queue, const struct vd_chain *chain)
{
	vd_rpmsg_fault(&remote->link, VD_FAULT_RPMSG_SHAPE, queue, chain->out_len, chain->in_len);
}

/* A buffer that can't be a message. */
static void drop_shape(struct vd_rpmsg_remote *remote, const struct vd_chain *chain)
{
	remote->link.stats.rx_dropped++;
	bad_shape(remote, VD_RPMSG_QUEUE_TX, chain);
}

/* One message. There is a place for it, should it be held. False: the link did not survive it, and
 * return_all() gave back what there was. */
static bool receive(struct vd_rpmsg_remote *remote, struct vd_vq_dev *vq, struct vd_chain *chain)
{
	struct vd_rpmsg *link = &remote->link;
	enum vd_rpmsg_verdict verdict = VD_RPMSG_RELEASE;
	uint32_t epoch = link->epoch;
	uint32_t place = take_place(&remote->received);

	remote->delivering = true;
	if (vd_likely(chain->n_in == 0 && chain->n_out > 0))
		verdict = vd_rpmsg_deliver(link, chain->iov, chain->n_out, chain->out_len, place);
	else
		drop_shape(remote, chain);
	if (vd_unlikely(link->epoch != epoch))
		return false;
	remote->delivering = false;
	if (verdict == VD_RPMSG_HOLD) {
		keep(&remote->received, place, chain);
	} else {
		free_place(&remote->received, place);
		give_back(vq, chain);
	}
	return true;
}

/* Pop up to @most messages. How many, or an error. */
static int pop_batch(struct vd_rpmsg_remote *remote, struct vd_vq_dev *vq, unsigned most)
{
	struct vd_rpmsg_batch *rx = &remote->rx;
	uint32_t epoch = remote->link.epoch;
	int n;

	while ((n = vd_vq_dev_pop_many(vq, rx->chain, most)) == -VD_E2BIG) {
		give_back(vq, &rx->chain[0]);
		drop_shape(remote, &rx->chain[0]);
		if (remote->link.epoch != epoch)
			return 0;
	}
	for (int i = 0; i < n; i++)
		if (rx->chain[i].n_out > 0)
			vd_prefetch_read(rx->chain[i].iov[0].base);
	return n;
}

/* How many messages may be taken without running out of places, should all be held. */
static unsigned room(const struct vd_rpmsg_remote *remote, unsigned budget)
{
	unsigned most = budget < remote->config.batch ? budget : remote->config.batch;

	return most < remote->received.n_free ? most : remote->received.n_free;
}

/* Deliver a batch of @n. How many were; fewer if a callback took the link down. */
static unsigned receive_batch(struct vd_rpmsg_remote *remote, struct vd_vq_dev *vq, unsigned n)
{
	struct vd_rpmsg_batch *rx = &remote->rx;

	rx->count = (uint16_t)n;
	for (unsigned i = 0; i < n; i++) {
		rx->first = (uint16_t)(i + 1);
		if (vd_unlikely(!receive(remote, vq, &rx->chain[i])))
			return i + 1;
	}
	return n;
}

static int remote_poll(struct vd_rpmsg *link, unsigned budget)
{
	struct vd_rpmsg_remote *remote = vd_rpmsg_remote_of(link);
	unsigned total = 0;
	unsigned most;
	unsigned n;

	do {
		struct vd_vq_dev *vq = rx_queue(remote);
		int popped;

		most = room(remote, budget - total);
		if (most == 0)
			break;
		popped = vq != NULL && link->up ? pop_batch(remote, vq, most) : -VD_EPIPE;
		if (popped < 0)
			return popped;
		n = receive_batch(remote, vq, (unsigned)popped);
		total += n;
	} while (n == most);
	return (int)total;
}

static int remote_release(struct vd_rpmsg *link, uint32_t place)
{
	struct vd_rpmsg_remote *remote = vd_rpmsg_remote_of(link);
	struct vd_rpmsg_places *places = &remote->received;
	struct vd_vq_dev *vq = rx_queue(remote);
	bool stopped = places->n_free == 0;

	if (place >= remote->config.n_held || !places->held[place].used)
		return -VD_EINVAL;
	if (vq != NULL)
		give_back(vq, &places->held[place].chain);
	free_place(places, place);
	return stopped;
}

/* ---- sending ---- */

/* Does any message fit in? */
static bool is_sendable(const struct vd_chain *chain)
{
	return chain->n_out == 0 && chain->n_in > 0 && chain->in_len >= VD_RPMSG_HEADER_SIZE;
}

/* A buffer that no message fits in goes back, and is complained of. False: the link did not survive
 * that. */
static bool refuse(struct vd_rpmsg_remote *remote, const struct vd_chain *chain)
{
	uint32_t epoch = remote->link.epoch;

	give_back(tx_queue(remote), chain);
	bad_shape(remote, VD_RPMSG_QUEUE_RX, chain);
	return remote->link.epoch == epoch;
}

/* Pop a batch of empty buffers. False: there are none. */
static bool refill(struct vd_rpmsg_remote *remote)
{
	struct vd_rpmsg_batch *tx = &remote->tx;
	struct vd_vq_dev *vq = tx_queue(remote);
	int n;

	if (vq == NULL)
		return false;
	tx->first = 0;
	tx->count = 0;
	while ((n = vd_vq_dev_pop_many(vq, tx->chain, remote->config.batch)) == -VD_E2BIG)
		if (!refuse(remote, &tx->chain[0]))
			return false;
	if (n <= 0)
		return false;
	/* The lines are the driver's; bring them over now, not one by one as they are written. */
	for (int i = 0; i < n; i++)
		if (tx->chain[i].n_in > 0)
			vd_prefetch_write(tx->chain[i].iov[0].base);
	tx->count = (uint16_t)n;
	/* Drivers with buffers of another size than Linux' exist, and need not say so. */
	if (tx->chain[0].in_len > VD_RPMSG_HEADER_SIZE)
		remote->link.tx_size = tx->chain[0].in_len < UINT32_MAX
					       ? (uint32_t)tx->chain[0].in_len
					       : UINT32_MAX;
	return true;
}

/* The next empty buffer, or NULL. */
static struct vd_chain *next_tx(struct vd_rpmsg_remote *remote)
{
	struct vd_rpmsg_batch *tx = &remote->tx;

	for (;;) {
		struct vd_chain *chain = &tx->chain[tx->first];

		if (tx->first == tx->count) {
			if (!refill(remote))
				return NULL;
		} else if (vd_likely(is_sendable(chain))) {
			return chain;
		} else {
			tx->first++;
			if (!refuse(remote, chain))
				return NULL;
		}
	}
}

static int remote_tx_peek(struct vd_rpmsg *link, struct vd_rpmsg_frame *frame)
{
	struct vd_rpmsg_remote *remote = vd_rpmsg_remote_of(link);
	const struct vd_chain *chain;

	chain = tx_queue(remote) != NULL ? next_tx(remote) : NULL;
	if (vd_unlikely(chain == NULL))
		return tx_queue(remote) != NULL ? -VD_ENOMEM : -VD_EPIPE;
	frame->iov = chain->iov;
	frame->n_iov = chain->n_in;
	frame->size = chain->in_len;
	return 0;
}

static void remote_tx_send(struct vd_rpmsg *link, uint32_t len)
{
	struct vd_rpmsg_remote *remote = vd_rpmsg_remote_of(link);

	(void)vd_vq_dev_push(tx_queue(remote), &remote->tx.chain[remote->tx.first++], len);
}

static int remote_tx_take(struct vd_rpmsg *link, uint32_t *place)
{
	struct vd_rpmsg_remote *remote = vd_rpmsg_remote_of(link);

	if (remote->composed.n_free == 0)
		return -VD_ENOMEM;
	*place = take_place(&remote->composed);
	keep(&remote->composed, *place, &remote->tx.chain[remote->tx.first++]);
	return 0;
}

static void remote_taken_frame(struct vd_rpmsg *link, uint32_t place, struct vd_rpmsg_frame *frame)
{
	const struct vd_chain *chain = &vd_rpmsg_remote_of(link)->composed.held[place].chain;

	frame->iov = chain->iov;
	frame->n_iov = chain->n_in;
	frame->size = chain->in_len;
}

static void remote_taken_send(struct vd_rpmsg *link, uint32_t place, uint32_t len)
{
	struct vd_rpmsg_remote *remote = vd_rpmsg_remote_of(link);
	struct vd_vq_dev *vq = tx_queue(remote);

	if (vq != NULL)
		(void)vd_vq_dev_push(vq, &remote->composed.held[place].chain, len);
	free_place(&remote->composed, place);
}

/*
 * A buffer that can't be un-popped any more, because later ones were sent meanwhile, goes back as a
 * message to nobody: that is the one thing a driver is sure to drop and to make available again.
 */
static void send_to_nobody(struct vd_rpmsg_remote *remote, const struct vd_chain *chain)
{
	struct vd_rpmsg_header header = {
		.dst = VD_RPMSG_ADDR_ANY}; /* the same in both byte orders */
	struct vd_cursor cursor;

	vd_cursor_init(&cursor, chain->iov, chain->n_in);
	(void)vd_cursor_push(&cursor, &header, sizeof(header));
	(void)vd_vq_dev_push(tx_queue(remote), chain, sizeof(header));
}

static void unpop_or_waste(struct vd_rpmsg_remote *remote, const struct vd_chain *chain)
{
	struct vd_vq_dev *vq = tx_queue(remote);

	if (vq != NULL && vd_vq_dev_unpop(vq, chain) != 0)
		send_to_nobody(remote, chain);
}

/* Give back the batch, youngest first, so that the queue stands where it would without us. */
static void return_batch(struct vd_rpmsg_remote *remote)
{
	struct vd_rpmsg_batch *tx = &remote->tx;

	while (tx->count > tx->first)
		unpop_or_waste(remote, &tx->chain[--tx->count]);
}

/* Back to the front of the batch. */
static void unget(struct vd_rpmsg_batch *batch, const struct vd_rpmsg_held *held)
{
	struct vd_chain *chain = &batch->chain[--batch->first];
	struct vd_iov *iov = chain->iov;

	*chain = held->chain;
	chain->iov = iov;
	memcpy(iov, held->iov, sizeof(held->iov));
}

static void remote_taken_return(struct vd_rpmsg *link, uint32_t place)
{
	struct vd_rpmsg_remote *remote = vd_rpmsg_remote_of(link);
	const struct vd_rpmsg_held *held = &remote->composed.held[place];

	if (vd_device_has(&remote->dev, VD_F_IN_ORDER)) {
		/* The driver sees it where it was popped. If others have passed it, what is sent
		 * next would pass them. */
		return_batch(remote);
		unpop_or_waste(remote, &held->chain);
	} else if (remote->tx.first > 0) {
		unget(&remote->tx, held);
	} else {
		unpop_or_waste(remote, &held->chain);
	}
	free_place(&remote->composed, place);
	if (link->corked == 0)
		link->role->flush(link);
}

static void remote_flush(struct vd_rpmsg *link)
{
	struct vd_rpmsg_remote *remote = vd_rpmsg_remote_of(link);

	/* What we send first: somebody waits for it. What we return only makes room. */
	vd_device_flush(&remote->dev, VD_RPMSG_QUEUE_RX);
	vd_device_flush(&remote->dev, VD_RPMSG_QUEUE_TX);
}

static bool remote_tx_arm(struct vd_rpmsg *link, bool on)
{
	struct vd_rpmsg_remote *remote = vd_rpmsg_remote_of(link);
	struct vd_vq_dev *vq = tx_queue(remote);

	if (vq == NULL)
		return false;
	remote->tx_armed = on && !vd_vq_dev_enable_notify(vq);
	if (!remote->tx_armed)
		vd_vq_dev_disable_notify(vq);
	return on && !remote->tx_armed;
}

static const struct vd_rpmsg_role remote_role = {
	.poll = remote_poll,
	.tx_peek = remote_tx_peek,
	.tx_send = remote_tx_send,
	.tx_take = remote_tx_take,
	.taken_frame = remote_taken_frame,
	.taken_send = remote_taken_send,
	.taken_return = remote_taken_return,
	.release = remote_release,
	.flush = remote_flush,
	.tx_arm = remote_tx_arm,
};

/* ---- the device ---- */

static void return_tx(struct vd_rpmsg_remote *remote)
{
	return_batch(remote);
	for (uint32_t place = 0; place < remote->config.n_held; place++)
		if (remote->composed.held[place].used)
			unpop_or_waste(remote, &remote->composed.held[place].chain);
}

/* What no endpoint has seen was never popped; what one has, it is done with. */
static void return_rx(struct vd_rpmsg_remote *remote)
{
	struct vd_rpmsg_batch *rx = &remote->rx;
	struct vd_vq_dev *vq = rx_queue(remote);

	if (vq == NULL)
		return;
	while (rx->count > rx->first)
		(void)vd_vq_dev_unpop(vq, &rx->chain[--rx->count]);
	if (remote->delivering)
		give_back(vq, &rx->chain[rx->first - 1]);
	for (uint32_t place = 0; place < remote->config.n_held; place++)
		if (remote->received.held[place].used)
			give_back(vq, &remote->received.held[place].chain);
}

static void return_all(struct vd_rpmsg_remote *remote)
{
	return_tx(remote);
	return_rx(remote);
	forget_all(remote);
}

static void arm_queues(struct vd_rpmsg_remote *remote)
{
	(void)remote_tx_arm(&remote->link, false);
	(void)vd_vq_dev_enable_notify(rx_queue(remote));
}

static uint32_t default_tx_size(const struct vd_rpmsg_remote *remote)
{
	if (vd_device_has(&remote->dev, VD_RPMSG_F_BUFSZ))
		return remote->config.r2h_size;
	return VD_RPMSG_BUFFER_SIZE;
}

static void queue_start(struct vd_device *dev, uint16_t index)
{
	struct vd_rpmsg_remote *remote = remote_of_dev(dev);

	(void)index;
	if (rx_queue(remote) == NULL || tx_queue(remote) == NULL)
		return;
	forget_all(remote);
	arm_queues(remote);
	remote->link.tx_size = default_tx_size(remote);
	(void)next_tx(remote);
	vd_rpmsg_link_up(&remote->link, vd_device_has(dev, VD_RPMSG_F_NS),
			 dev->big_endian && !vd_device_has(dev, VD_F_VERSION_1));
}

static void queue_stop(struct vd_device *dev, uint16_t index)
{
	struct vd_rpmsg_remote *remote = remote_of_dev(dev);

	(void)index;
	vd_rpmsg_link_down(&remote->link);
	return_all(remote);
}

static void stop(struct vd_device *dev)
{
	struct vd_rpmsg_remote *remote = remote_of_dev(dev);

	vd_rpmsg_link_down(&remote->link);
	forget_all(remote);
}

static int suspend(struct vd_device *dev)
{
	struct vd_rpmsg_remote *remote = remote_of_dev(dev);

	vd_rpmsg_link_pause(&remote->link);
	return_all(remote);
	return 0;
}

static int resume(struct vd_device *dev)
{
	struct vd_rpmsg_remote *remote = remote_of_dev(dev);

	if (!remote->link.paused)
		return 0;
	arm_queues(remote);
	vd_rpmsg_link_resume(&remote->link);
	return 0;
}

/* Nothing came. Look a few times more, then ask to be notified. True: something came after all. */
static bool look_again(struct vd_rpmsg_remote *remote, struct vd_vq_dev *vq)
{
	for (unsigned i = 0; i < remote->config.idle_polls; i++) {
		if (vd_vq_dev_ready(vq))
			return true;
		vd_relax();
	}
	if (!vd_vq_dev_enable_notify(vq))
		return false;
	vd_vq_dev_disable_notify(vq);
	return true;
}

/* Messages arrived. Take them while they come, up to the budget. */
static bool serve(struct vd_rpmsg_remote *remote)
{
	unsigned left = remote->config.budget;
	struct vd_vq_dev *vq = rx_queue(remote);

	vd_vq_dev_disable_notify(vq);
	while (left > 0) {
		int n = vd_rpmsg_poll(&remote->link, left);

		vq = rx_queue(remote);
		if (n < 0 || vq == NULL)
			return false;
		left -= (unsigned)n;
		/* Without a place for one more message, whoever releases one goes on. */
		if (n == 0 && (remote->received.n_free == 0 || !look_again(remote, vq)))
			return false;
	}
	return true;
}

static bool notify(struct vd_device *dev, uint16_t index)
{
	struct vd_rpmsg_remote *remote = remote_of_dev(dev);

	if (!remote->link.up)
		return false;
	if (index == VD_RPMSG_QUEUE_TX)
		return serve(remote);
	if (remote->tx_armed) {
		(void)remote_tx_arm(&remote->link, false);
		vd_rpmsg_look_for_buffers(&remote->link);
	}
	return false;
}

static void report(struct vd_device *dev, const struct vd_fault *fault)
{
	struct vd_rpmsg *link = &remote_of_dev(dev)->link;

	vd_rpmsg_fault(link, fault->code, fault->value[0], fault->value[1], fault->value[2]);
}

static const struct vd_device_ops device_ops = {
	.stop = stop,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.notify = notify,
	.suspend = suspend,
	.resume = resume,
	.fault = report,
};

/* ---- set-up ---- */

static bool config_is_sound(const struct vd_rpmsg_remote_config *config)
{
	struct vd_ring_parts parts;

	return config->split != NULL && config->batch > 0 && config->batch <= VD_RPMSG_BATCH_MAX &&
	       config->n_held > 0 && config->budget > 0 &&
	       vd_ring_parts(VD_RING_SPLIT, config->queue_size, &parts) == 0 &&
	       (config->h2r_size != 0) == (config->r2h_size != 0) &&
	       (config->r2h_size == 0 || config->r2h_size > VD_RPMSG_HEADER_SIZE);
}

static void carve_batch(struct vd_rpmsg_batch *batch, unsigned n, struct vd_carve *carve)
{
	batch->chain = vd_carve(carve, n, sizeof(*batch->chain));
	batch->iov = vd_carve(carve, (size_t)n * VD_RPMSG_SEGMENTS, sizeof(*batch->iov));
	if (carve->base == NULL)
		return;
	for (unsigned i = 0; i < n; i++) {
		batch->chain[i].iov = &batch->iov[i * VD_RPMSG_SEGMENTS];
		batch->chain[i].iov_max = VD_RPMSG_SEGMENTS;
	}
}

static void carve_all(struct vd_rpmsg_remote *remote, const struct vd_rpmsg_remote_config *config,
		      struct vd_carve *carve)
{
	struct vd_device_config device = {.split = config->split, .packed = config->packed};
	size_t state_size = vd_device_queue_state_size(&device, config->queue_size);

	for (unsigned i = 0; i < VD_RPMSG_N_QUEUES; i++) {
		remote->queues[i].size_max = config->queue_size;
		remote->queues[i].state_size = state_size;
		remote->queues[i].state = vd_carve(carve, state_size, 1);
	}
	carve_batch(&remote->rx, config->batch, carve);
	carve_batch(&remote->tx, config->batch, carve);
	remote->received.held = vd_carve(carve, config->n_held, sizeof(*remote->received.held));
	remote->composed.held = vd_carve(carve, config->n_held, sizeof(*remote->composed.held));
	vd_rpmsg_carve(&remote->link, &config->link, carve);
}

size_t vd_rpmsg_remote_memory(const struct vd_rpmsg_remote_config *config)
{
	struct vd_rpmsg_remote sketch;
	struct vd_carve carve = {.base = NULL};

	if (!config_is_sound(config))
		return 0;
	carve_all(&sketch, config, &carve);
	return carve.used;
}

static void put_le32(unsigned char *to, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		to[i] = (unsigned char)(value >> (8 * i));
}

static int init_device(struct vd_rpmsg_remote *remote)
{
	const struct vd_rpmsg_remote_config *config = &remote->config;
	struct vd_device_config device = {
		.type = &vd_rpmsg_type,
		.ops = &device_ops,
		.features = config->features | VD_BIT(VD_RPMSG_F_NS),
		.vendor = config->vendor,
		.queues = remote->queues,
		.n_queues = VD_RPMSG_N_QUEUES,
		.config = remote->space,
		.split = config->split,
		.packed = config->packed,
	};

	if (config->r2h_size != 0)
		device.features |= VD_BIT(VD_RPMSG_F_BUFSZ);
	put_le32(remote->space, config->h2r_size);
	put_le32(remote->space + 4, config->r2h_size);
	return vd_device_init(&remote->dev, &device);
}

int vd_rpmsg_remote_init(struct vd_rpmsg_remote *remote,
			 const struct vd_rpmsg_remote_config *config, void *memory, size_t size)
{
	struct vd_carve carve = {.base = memory};
	size_t need = vd_rpmsg_remote_memory(config);

	if (need == 0 || memory == NULL || size < need || (uintptr_t)memory % VD_CARVE_ALIGN != 0)
		return -VD_EINVAL;
	memset(remote, 0, sizeof(*remote));
	remote->config = *config;
	carve_all(remote, config, &carve);
	vd_rpmsg_init(&remote->link, &config->link, &remote_role);
	forget_all(remote);
	return init_device(remote);
}
