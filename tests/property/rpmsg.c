/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An rpmsg remote in front of a host written by hand, under a random scheduler and a reference
 * model: rings and buffers of every kind; endpoints and channels that come and go; messages held,
 * composed in place, corked; hosts that restart, suspend, and stop their queues, also from inside
 * callbacks. What is shown: every message arrives exactly once, in order and whole, or is lost with
 * the host it was for; both sides know each other's channels; nobody sleeps who was to be told; at
 * the end every buffer is back.
 *
 *     property_rpmsg [RUNS [SEED]]
 *
 * The seed of a failed run is printed; "property_rpmsg 1 SEED" repeats it.
 */
#include "host.h"
#include "ring_pair.h"
#include "viaduct/errno.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS     1500
#define ENDPOINTS 8
#define NAMES     5
#define FIXED     100u
#define PLACES    8
#define IN_FLIGHT 1024
#define ANY       VD_RPMSG_ADDR_ANY

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* ---- the model ---- */

/* A message on its way. Its bytes follow from its number. */
struct letter {
	uint32_t number;
	uint32_t src;
	uint32_t dst;
	uint16_t len;
	bool sent;      /* not only composed */
	bool announces; /* a channel of the host's: that name, created or destroyed */
	uint8_t name;
	bool created;
};

/* Those on their way in one direction, oldest first. */
struct post {
	struct letter letters[IN_FLIGHT];
	unsigned count;
};

struct listener {
	struct vd_rpmsg_ept ept; /* first */
	bool alive;
	bool in_place;
};

/* What one side knows of the other's channels. */
struct known {
	uint8_t name;
	uint32_t addr;
};

static struct {
	struct dice dice;
	uint64_t seed;
	struct host host;
	struct host_options options;
	struct vd_rpmsg_remote remote;
	struct vd_rpmsg_remote_config config;
	void *memory;
	bool in_order;
	bool ns;
	bool polls; /* the remote polls, and does not wait to be notified */
	bool calm;  /* the end: callbacks do nothing but receive */

	uint32_t number; /* of the next letter */
	struct post to_remote;
	struct post to_host;
	struct listener listeners[ENDPOINTS];
	struct known ours[4 * ENDPOINTS]; /* what the host knows */
	unsigned n_ours;
	bool theirs[NAMES]; /* what the remote knows */
	unsigned n_theirs;

	struct vd_rpmsg_msg held[PLACES];
	struct letter held_letters[PLACES];
	unsigned n_held;
	struct vd_rpmsg_msg stale_msg;
	struct vd_rpmsg_tx composing[PLACES];
	uint32_t composing_number[PLACES];
	unsigned n_composing;
	struct vd_rpmsg_tx stale_tx;
	bool has_stale_msg;
	bool has_stale_tx;

	unsigned corks;
	unsigned depth; /* of what happens inside what */
	bool suspended;
	bool may_hear; /* that the link is writable, */
	bool must_hear;
	uint64_t now;
	uint64_t received; /* counted as the remote should */
	uint64_t dropped;
} m;

static uint64_t total_letters;
static uint64_t total_lives;

static uint32_t roll(uint32_t below)
{
	return dice_roll(&m.dice, below);
}

static bool one_in(uint32_t n)
{
	return dice_one_in(&m.dice, n);
}

static struct vd_rpmsg *link_of(void)
{
	return &m.remote.link;
}

static void fill(const struct letter *letter, unsigned char *bytes)
{
	for (unsigned i = 0; i < letter->len; i++)
		bytes[i] = (unsigned char)(letter->number * 31 + i * 7);
}

static bool is_whole(const struct letter *letter, const void *bytes)
{
	unsigned char want[HOST_SIZE];

	fill(letter, want);
	return memcmp(want, bytes, letter->len) == 0;
}

static struct letter write_letter(uint32_t src, uint32_t dst, uint32_t most)
{
	uint32_t len = one_in(4) ? roll(most + 1) : roll(most < 40 ? most + 1 : 40);

	return (struct letter){
		.number = m.number++,
		.src = src,
		.dst = dst,
		.len = (uint16_t)len,
		.sent = true,
	};
}

static void post(struct post *post, const struct letter *letter)
{
	MUST(post->count < IN_FLIGHT);
	post->letters[post->count++] = *letter;
	total_letters++;
}

static void remove_letter(struct post *post, unsigned i)
{
	post->count--;
	memmove(&post->letters[i], &post->letters[i + 1],
		(post->count - i) * sizeof(post->letters[0]));
}

/* The oldest one. IN_ORDER holds up what comes after one that is still composed. */
static struct letter take(struct post *post)
{
	struct letter first;
	unsigned i = 0;

	while (!m.in_order && i < post->count && !post->letters[i].sent)
		i++;
	MUST(i < post->count);
	first = post->letters[i];
	MUST(first.sent);
	remove_letter(post, i);
	return first;
}

static struct letter *find_number(struct post *post, uint32_t number)
{
	for (unsigned i = 0; i < post->count; i++)
		if (post->letters[i].number == number)
			return &post->letters[i];
	return NULL;
}

static struct listener *listener_at(uint32_t addr)
{
	for (unsigned i = 0; i < ENDPOINTS; i++)
		if (m.listeners[i].alive && m.listeners[i].ept.addr == addr)
			return &m.listeners[i];
	return NULL;
}

static const char *const names[NAMES] = {"a", "bb", "ccc", "a name of thirty-one characters",
					 "rpmsg-tty"};

static uint8_t name_number(const char *name)
{
	for (uint8_t i = 0; i < NAMES; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	MUST(!"a known name");
	return 0;
}

/* ---- what the remote's owner is told ---- */

static void incident(void);
static void step_send(void);

static void forget_composed(void)
{
	for (unsigned i = 0; i < m.n_composing; i++) {
		struct letter *letter = find_number(&m.to_host, m.composing_number[i]);

		if (letter != NULL)
			remove_letter(&m.to_host, (unsigned)(letter - m.to_host.letters));
	}
	m.n_composing = 0;
}

/* What is held and composed becomes void. */
static void go_stale(void)
{
	if (m.n_held > 0) {
		m.stale_msg = m.held[roll(m.n_held)];
		m.has_stale_msg = true;
	}
	if (m.n_composing > 0) {
		m.stale_tx = m.composing[roll(m.n_composing)];
		m.has_stale_tx = true;
	}
	m.n_held = 0;
	forget_composed();
}

static void on_link(struct vd_rpmsg *link, bool up)
{
	MUST(link == link_of() && link->up == up);
	go_stale();
	memset(m.theirs, 0, sizeof(m.theirs));
	m.n_theirs = 0;
	m.may_hear = m.must_hear = false;
	total_lives += up;
}

static void on_pausing(struct vd_rpmsg *link)
{
	MUST(link->up);
	go_stale();
}

static void on_writable(struct vd_rpmsg *link)
{
	MUST(link->up && m.may_hear);
	m.may_hear = m.must_hear = false;
	if (!m.calm && one_in(2))
		step_send();
}

static int on_wait(struct vd_rpmsg *link, uint32_t ms)
{
	MUST(link->up && ms > 0 && ms <= 15000);
	m.may_hear = true;
	m.now += 1 + roll(8000);
	if (one_in(2))
		incident();
	return 0;
}

static uint64_t on_now(struct vd_rpmsg *link)
{
	(void)link;
	return m.now;
}

/* The next letter was dropped for @code: was that right? */
static void on_fault(struct vd_rpmsg *link, const struct vd_fault *fault)
{
	struct letter letter = take(&m.to_remote);

	if (fault->code == VD_FAULT_RPMSG_NO_ENDPOINT) {
		MUST(fault->value[0] == letter.src && fault->value[1] == letter.dst);
		MUST(listener_at(letter.dst) == NULL && (letter.dst != VD_RPMSG_NS_ADDR || !m.ns));
		MUST(vd_rpmsg_find_ept(link, letter.dst) == NULL);
		m.dropped++;
		return;
	}
	MUST(letter.announces && m.ns);
	m.received++;
	if (fault->code == VD_FAULT_RPMSG_NS_EXISTS)
		MUST(letter.created && m.theirs[letter.name]);
	else if (fault->code == VD_FAULT_RPMSG_NS_UNKNOWN)
		MUST(!letter.created && !m.theirs[letter.name]);
	else
		MUST(fault->code == VD_FAULT_RPMSG_NS_FULL && letter.created &&
		     !m.theirs[letter.name] && m.n_theirs == m.config.link.n_channels);
}

static void on_channel(struct vd_rpmsg *link, const struct vd_rpmsg_channel *channel, bool created)
{
	struct letter letter = take(&m.to_remote);

	MUST(letter.announces && m.ns && letter.created == created);
	MUST(name_number(channel->name) == letter.name && channel->addr == letter.src);
	MUST(m.theirs[letter.name] != created);
	MUST((vd_rpmsg_find_channel(link, channel->name) != NULL) == created);
	m.theirs[letter.name] = created;
	m.n_theirs = created ? m.n_theirs + 1 : m.n_theirs - 1;
	m.received++;
	incident();
}

static const struct vd_rpmsg_events events = {
	.link_changed = on_link,
	.pausing = on_pausing,
	.channel = on_channel,
	.writable = on_writable,
	.fault = on_fault,
	.wait = on_wait,
	.now = on_now,
};

static enum vd_rpmsg_verdict on_message(struct vd_rpmsg_ept *ept, const struct vd_rpmsg_msg *msg)
{
	struct listener *listener = (struct listener *)(void *)ept;
	struct letter letter = take(&m.to_remote);
	uint32_t epoch = link_of()->epoch;

	MUST(listener->alive && ept->addr == letter.dst && !letter.announces);
	MUST(msg->src == letter.src && msg->dst == letter.dst && msg->len == letter.len);
	MUST(is_whole(&letter, msg->data));
	MUST(!msg->in_place || listener->in_place);
	m.received++;
	incident();
	/* An answer for a link that is gone has no meaning. */
	if (link_of()->epoch != epoch)
		return one_in(2) ? VD_RPMSG_HOLD : VD_RPMSG_RELEASE;
	if (m.calm || one_in(2))
		return VD_RPMSG_RELEASE;
	if (msg->in_place) {
		MUST(m.n_held < m.config.n_held);
		m.held_letters[m.n_held] = letter;
		m.held[m.n_held++] = *msg;
	}
	return VD_RPMSG_HOLD;
}

/* ---- the remote ---- */

static void step_poll(void)
{
	uint32_t budget = roll(12);
	int n;

	if (!m.polls || m.depth > 1)
		return;
	n = vd_rpmsg_poll(link_of(), budget);
	if (n >= 0)
		MUST((unsigned)n <= budget);
	else
		MUST(n == -VD_EPIPE || (n == -VD_EBUSY && m.depth > 0));
}

static struct listener *any_listener(void)
{
	struct listener *listener = &m.listeners[roll(ENDPOINTS)];

	return listener->alive ? listener : NULL;
}

static void starved(bool must)
{
	m.may_hear = true;
	m.must_hear |= must;
}

/* What a sender was told must be so. */
static void check_sent(const struct letter *letter, int err, bool waited)
{
	if (err == 0)
		post(&m.to_host, letter);
	else if (err == -VD_EPIPE)
		MUST(!link_of()->up);
	else
		MUST(err == (waited ? -VD_ETIMEDOUT : -VD_ENOMEM));
	if (err == -VD_ENOMEM || (waited && link_of()->up && link_of()->starved))
		starved(err == -VD_ENOMEM);
}

static void step_send(void)
{
	struct listener *from = any_listener();
	struct letter letter;
	unsigned char bytes[HOST_SIZE];

	if (from == NULL)
		return;
	letter = write_letter(from->ept.addr, 100 + roll(2000), vd_rpmsg_max_payload(link_of()));
	fill(&letter, bytes);
	check_sent(&letter, vd_rpmsg_trysendto(&from->ept, bytes, letter.len, letter.dst), false);
}

static void step_send_waiting(void)
{
	struct listener *from = any_listener();
	struct letter letter;
	unsigned char bytes[HOST_SIZE];
	int err;

	/* Whoever waits may see his endpoint go, or others send first. */
	if (from == NULL || m.depth > 1)
		return;
	m.depth++;
	letter = write_letter(roll(1000), 100 + roll(1000), vd_rpmsg_max_payload(link_of()));
	fill(&letter, bytes);
	m.may_hear = true;
	err = vd_rpmsg_send_offchannel(&from->ept, letter.src, letter.dst, bytes, letter.len);
	m.depth--;
	check_sent(&letter, err, true);
}

static void step_cork(void)
{
	if (m.corks < 2) {
		vd_rpmsg_cork(link_of());
		m.corks++;
	}
}

static void step_uncork(void)
{
	if (m.corks > 0) {
		m.corks--;
		vd_rpmsg_uncork(link_of());
	}
}

static void step_begin(void)
{
	struct vd_rpmsg_tx tx;
	int err = vd_rpmsg_tx_begin(link_of(), &tx);
	struct letter letter;

	if (err == -VD_ENOMEM)
		starved(true);
	if (err != 0) {
		MUST(err == -VD_ENOMEM || (err == -VD_EPIPE && !link_of()->up) ||
		     (err == -VD_EOPNOTSUPP && m.options.pieces > 1));
		return;
	}
	MUST(m.n_composing < m.config.n_held && tx.capacity == m.options.rx_size - 16);
	letter = write_letter(roll(1000), 100 + roll(1000), tx.capacity);
	letter.sent = false;
	m.composing[m.n_composing] = tx;
	m.composing_number[m.n_composing++] = letter.number;
	post(&m.to_host, &letter);
}

static struct vd_rpmsg_tx take_composed(uint32_t *number)
{
	unsigned i = roll(m.n_composing);
	struct vd_rpmsg_tx tx = m.composing[i];

	*number = m.composing_number[i];
	m.n_composing--;
	m.composing[i] = m.composing[m.n_composing];
	m.composing_number[i] = m.composing_number[m.n_composing];
	return tx;
}

static void step_commit(void)
{
	struct vd_rpmsg_tx tx;
	struct letter letter;
	struct letter *composed;
	uint32_t number;

	if (m.n_composing == 0)
		return;
	tx = take_composed(&number);
	composed = find_number(&m.to_host, number);
	letter = *composed;
	composed->sent = true;
	/* IN_ORDER shows it where it was begun, otherwise it comes when it is sent. */
	if (!m.in_order) {
		remove_letter(&m.to_host, (unsigned)(composed - m.to_host.letters));
		letter.sent = true;
		post(&m.to_host, &letter);
	}
	fill(&letter, tx.data);
	MUST(vd_rpmsg_tx_commit(&tx, letter.src, letter.dst, letter.len) == 0);
	m.stale_tx = tx;
	m.has_stale_tx = true;
}

static void step_abort(void)
{
	struct vd_rpmsg_tx tx;
	uint32_t number;

	if (m.n_composing == 0)
		return;
	tx = take_composed(&number);
	remove_letter(&m.to_host, (unsigned)(find_number(&m.to_host, number) - m.to_host.letters));
	vd_rpmsg_tx_abort(&tx);
}

static void kick_remote(void)
{
	while (vd_device_kick(&m.remote.dev, vd_notification(VD_RPMSG_QUEUE_TX, 0)))
		;
}

static void step_release(void)
{
	struct vd_rpmsg_msg msg;
	unsigned i;
	int err;

	if (m.n_held == 0)
		return;
	i = roll(m.n_held);
	msg = m.held[i];
	MUST(is_whole(&m.held_letters[i], msg.data));
	m.n_held--;
	m.held[i] = m.held[m.n_held];
	m.held_letters[i] = m.held_letters[m.n_held];
	err = vd_rpmsg_release(&msg);
	MUST(err == 0 || err == 1);
	if (err == 1)
		kick_remote();
}

static void step_stale(void)
{
	if (m.has_stale_msg)
		MUST(vd_rpmsg_release(&m.stale_msg) == -VD_ESTALE);
	if (m.has_stale_tx)
		MUST(vd_rpmsg_tx_commit(&m.stale_tx, 1, 2, 0) == -VD_ESTALE);
	if (m.has_stale_tx)
		vd_rpmsg_tx_abort(&m.stale_tx);
}

static void step_create(void)
{
	unsigned i = roll(ENDPOINTS);
	struct listener *listener = &m.listeners[i];
	uint32_t addr = one_in(2) ? FIXED + roll(ENDPOINTS) : ANY;
	int err;

	/* One that is dying is not there, but its memory is in use. */
	if (listener->ept.link != NULL)
		return;
	memset(listener, 0, sizeof(*listener));
	listener->in_place = one_in(2);
	err = vd_rpmsg_create_ept(link_of(), &listener->ept, one_in(2) ? names[roll(NAMES)] : NULL,
				  addr, ANY, on_message,
				  listener->in_place ? VD_RPMSG_IN_PLACE : 0);
	MUST(err == (listener_at(addr) != NULL ? -VD_EADDRINUSE : 0));
	listener->alive = err == 0;
}

static void step_destroy(void)
{
	struct listener *listener = any_listener();
	int err;

	if (listener == NULL)
		return;
	listener->alive = false;
	err = vd_rpmsg_destroy_ept(&listener->ept);
	MUST(err == 0 ? listener->ept.link == NULL : err == -VD_EAGAIN);
}

/* ---- the host ---- */

static uint32_t some_addr(void)
{
	return one_in(2) ? FIXED + roll(ENDPOINTS) : VD_RPMSG_FIRST_DYNAMIC + roll(2 * ENDPOINTS);
}

static void step_host_send(void)
{
	const struct listener *to = any_listener();
	struct letter letter;
	unsigned char bytes[HOST_SIZE];
	bool later = one_in(3);

	letter = write_letter(roll(1000), to != NULL ? to->ept.addr : some_addr(),
			      m.options.tx_size - 16);
	fill(&letter, bytes);
	if (later ? host_add(&m.host, letter.src, letter.dst, bytes, letter.len)
		  : host_send(&m.host, letter.src, letter.dst, bytes, letter.len))
		post(&m.to_remote, &letter);
}

static void step_host_announce(void)
{
	struct letter letter = {
		.number = m.number++, .dst = VD_RPMSG_NS_ADDR, .len = 40, .sent = true};

	if (m.options.tx_size < 16 + 40)
		return;
	letter.announces = true;
	letter.name = (uint8_t)roll(NAMES);
	letter.created = one_in(2);
	letter.src = 500u + letter.name;
	if (host_announce(&m.host, names[letter.name], letter.src, !letter.created))
		post(&m.to_remote, &letter);
}

static uint32_t get32(const unsigned char *bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 4; i++)
		value |= (uint32_t)bytes[m.options.big_endian ? 3 - i : i] << (8 * i);
	return value;
}

/* A channel of the remote's comes or goes; never twice. */
static void host_learns(const struct host_message *message)
{
	uint8_t name = name_number((const char *)message->data);
	uint32_t addr = get32(message->data + 32);
	bool created = get32(message->data + 36) == 0;
	unsigned i = 0;

	MUST(message->len == 40 && message->src == addr);
	while (i < m.n_ours && (m.ours[i].name != name || m.ours[i].addr != addr))
		i++;
	MUST(created == (i == m.n_ours));
	if (created) {
		MUST(m.n_ours < sizeof(m.ours) / sizeof(m.ours[0]));
		m.ours[m.n_ours++] = (struct known){.name = name, .addr = addr};
	} else {
		m.ours[i] = m.ours[--m.n_ours];
	}
}

static bool host_receives(void)
{
	struct host_message message;
	struct letter letter;

	if (m.suspended || !host_receive(&m.host, &message))
		return false;
	MUST(message.reserved == 0 && message.flags == 0 && message.used == 16u + message.len);
	if (message.dst == VD_RPMSG_NS_ADDR) {
		MUST(m.ns);
		host_learns(&message);
		return true;
	}
	letter = take(&m.to_host);
	MUST(message.src == letter.src && message.dst == letter.dst && message.len == letter.len);
	MUST(is_whole(&letter, message.data));
	return true;
}

static void step_host_receive(void)
{
	unsigned n = roll(6);

	while (n-- > 0 && host_receives())
		;
}

static void step_host_receive_all(void)
{
	while (host_receives())
		;
}

static void step_host_reclaim(void)
{
	if (!m.suspended)
		(void)host_reclaim(&m.host);
}

static void step_host_enable(void)
{
	struct vd_vq_drv *vq = &m.host.vqs[roll(VD_RPMSG_N_QUEUES)].vq;

	if (one_in(2))
		(void)vd_vq_drv_enable_cb(vq);
	else
		vd_vq_drv_disable_cb(vq);
}

static void step_device_wakes(void)
{
	(void)vd_loopback_poll_device(&m.host.loop);
}

static void step_driver_wakes(void)
{
	(void)vd_loopback_poll_driver(&m.host.loop);
}

/* ---- the life of the link ---- */

static void step_restart(void)
{
	host_unbind(&m.host);
	m.suspended = false;
	m.to_remote.count = 0;
	m.to_host.count = 0;
	m.n_ours = 0;
	host_bind(&m.host);
}

static void step_resume(void)
{
	if (!m.suspended)
		return;
	m.suspended = false;
	MUST(vd_vdev_resume(&m.host.loop.vdev) == 0);
}

static void step_suspend(void)
{
	if (m.suspended || !vd_vdev_has(&m.host.loop.vdev, VD_F_SUSPEND))
		return;
	MUST(vd_vdev_suspend(&m.host.loop.vdev) == 0);
	m.suspended = true;
	if (one_in(2))
		step_resume();
}

static void step_pause(void)
{
	vd_device_pause(&m.remote.dev);
	vd_device_unpause(&m.remote.dev);
}

static void stop_queues(struct vd_ring_position *position)
{
	uint16_t first = (uint16_t)roll(2);

	position[first] = host_stop_queue(&m.host, first);
	position[!first] = host_stop_queue(&m.host, !first);
	for (uint16_t i = 0; i < VD_RPMSG_N_QUEUES; i++)
		MUST(host_missing(&m.host, i, position[i]) == 0);
}

/* As when another back end takes over: what is in the queues stays, what the link knew does not. */
static void step_stop_and_start(void)
{
	struct vd_ring_position position[VD_RPMSG_N_QUEUES];
	uint16_t first = (uint16_t)roll(2);

	if (m.suspended)
		return;
	stop_queues(position);
	step_host_receive_all();
	MUST(m.to_host.count == 0);
	m.n_ours = 0;
	host_start_queue(&m.host, first, position[first]);
	host_start_queue(&m.host, !first, position[!first]);
}

/* ---- the scheduler ---- */

struct choice {
	void (*step)(void);
	unsigned weight;
};

static const struct choice choices[] = {
	{step_poll, 20},          {step_send, 30},
	{step_send_waiting, 3},   {step_cork, 3},
	{step_uncork, 5},         {step_begin, 8},
	{step_commit, 6},         {step_abort, 3},
	{step_release, 14},       {step_stale, 2},
	{step_create, 8},         {step_destroy, 5},
	{step_host_send, 40},     {step_host_announce, 4},
	{step_host_receive, 16},  {step_host_receive_all, 4},
	{step_host_reclaim, 12},  {step_host_enable, 3},
	{step_device_wakes, 14},  {step_driver_wakes, 6},
	{step_restart, 1},        {step_suspend, 2},
	{step_resume, 6},         {step_pause, 1},
	{step_stop_and_start, 1},
};

static void choose(void)
{
	const struct choice *choice = choices;
	unsigned sum = 0;
	unsigned n;

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		sum += choices[i].weight;
	n = roll(sum);
	while (n >= choice->weight)
		n -= (choice++)->weight;
	choice->step();
}

/* Something else happens in the middle of it. */
static void incident(void)
{
	if (m.calm || m.depth > 2)
		return;
	m.depth++;
	while (one_in(3))
		choose();
	m.depth--;
}

/* ---- a run ---- */

static void choose_shape(void)
{
	static const uint64_t features[] = {VD_BIT(VD_F_RING_PACKED), VD_BIT(VD_F_IN_ORDER),
					    VD_BIT(VD_F_EVENT_IDX), VD_BIT(VD_F_INDIRECT_DESC)};
	static const uint16_t sizes[] = {4, 8, 16, 32};

	m.options = (struct host_options){
		.queue_size = sizes[roll(4)],
		.n_buffers = (uint16_t)roll(9),
		.rx_size = 17 + roll(600),
		.tx_size = 16 + roll(600),
		.pieces = (uint8_t)(one_in(2) ? 1 : 1 + roll(VD_RPMSG_SEGMENTS)),
		.big_endian = one_in(8),
	};
	m.options.little_endian = !m.options.big_endian && one_in(8);
	for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (one_in(2))
			m.options.refuses |= features[i];
	if (one_in(8))
		m.options.refuses |= VD_BIT(VD_RPMSG_F_NS);
	/* Announcements must have room. */
	if (!(m.options.refuses & VD_BIT(VD_RPMSG_F_NS)))
		m.options.rx_size += 40;
}

static void choose_config(void)
{
	m.config = (struct vd_rpmsg_remote_config)VD_RPMSG_REMOTE_DEFAULTS;
	m.config.link.events = &events;
	m.config.link.n_endpoints = roll(ENDPOINTS);
	m.config.link.n_channels = 1 + roll(NAMES);
	m.config.link.max_payload = 700;
	m.config.queue_size = 32;
	m.config.batch = (uint16_t)(1 + roll(8));
	m.config.n_held = (uint16_t)(1 + roll(PLACES));
	m.config.budget = 1 + roll(16);
	m.config.idle_polls = (uint16_t)roll(3);
}

static void open_all(uint64_t seed)
{
	size_t size;

	memset(&m, 0, sizeof(m));
	m.seed = seed;
	m.dice.state = seed;
	choose_shape();
	choose_config();
	size = vd_rpmsg_remote_memory(&m.config);
	m.memory = malloc(size);
	MUST(vd_rpmsg_remote_init(&m.remote, &m.config, m.memory, size) == 0);
	m.ns = !(m.options.refuses & VD_BIT(VD_RPMSG_F_NS));
	host_open(&m.host, &m.remote, &m.options);
	m.polls = one_in(3);
	m.in_order = vd_vdev_has(&m.host.loop.vdev, VD_F_IN_ORDER);
}

/* Nobody starts anything new, and only those act who are told to. */
static void calm_down(void)
{
	m.calm = true;
	step_resume();
	while (m.corks > 0)
		step_uncork();
	while (m.n_composing > 0)
		if (one_in(2))
			step_commit();
		else
			step_abort();
	while (m.n_held > 0)
		step_release();
	host_kick(&m.host);
	for (unsigned i = 0; i < 4 * HOST_BUFFERS; i++) {
		if (m.polls)
			step_poll();
		else
			host_run(&m.host);
		step_host_receive_all();
		step_host_reclaim();
	}
}

static void check_channels(void)
{
	unsigned named = 0;

	MUST(link_of()->n_due == 0);
	for (unsigned i = 0; i < ENDPOINTS; i++) {
		MUST((m.listeners[i].ept.link != NULL) == m.listeners[i].alive);
		named += m.listeners[i].alive && m.listeners[i].ept.name != NULL;
	}
	MUST(m.n_ours == (m.ns ? named : 0));
	for (unsigned i = 0; i < m.n_ours; i++) {
		const struct listener *listener = listener_at(m.ours[i].addr);

		MUST(listener != NULL && listener->ept.name == names[m.ours[i].name]);
	}
	for (unsigned i = 0; i < NAMES; i++)
		MUST((vd_rpmsg_find_channel(link_of(), names[i]) != NULL) == m.theirs[i]);
}

/* As many messages as there are buffers find one. */
static void check_buffers(void)
{
	struct vd_ring_position position[VD_RPMSG_N_QUEUES];
	struct vd_rpmsg_ept nobody = {.link = link_of()};
	unsigned n = m.host.n_posted;

	for (unsigned i = 0; i < n; i++) {
		struct letter letter = {.number = m.number++, .src = 1, .dst = 2, .sent = true};

		post(&m.to_host, &letter);
		MUST(vd_rpmsg_trysend_offchannel(&nobody, 1, 2, NULL, 0) == 0);
	}
	MUST(vd_rpmsg_trysend_offchannel(&nobody, 1, 2, NULL, 0) == -VD_ENOMEM);
	starved(false);
	step_host_receive_all();
	MUST(m.to_host.count == 0);
	stop_queues(position);
	(void)host_reclaim(&m.host);
	MUST(m.host.n_sending == 0);
}

static void run(uint64_t seed)
{
	open_all(seed);
	for (unsigned i = 0; i < STEPS; i++)
		choose();
	calm_down();
	MUST(m.to_remote.count == 0 && m.to_host.count == 0 && !m.must_hear);
	MUST(link_of()->stats.rx_messages == m.received);
	MUST(link_of()->stats.rx_dropped == m.dropped);
	check_channels();
	check_buffers();
	host_close(&m.host);
	free(m.memory);
}

static void tell_seed(int sig)
{
	(void)sig;
	fprintf(stderr, "property_rpmsg 1 %" PRIu64 " fails\n", m.seed);
}

int main(int argc, char **argv)
{
	uint64_t runs = argc > 1 ? strtoull(argv[1], NULL, 0) : 4000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

	signal(SIGABRT, tell_seed);
	for (uint64_t i = 0; i < runs; i++)
		run(seed + i);
	printf("%" PRIu64 " messages and announcements over %" PRIu64 " links in %" PRIu64
	       " runs\n",
	       total_letters, total_lives, runs);
	return 0;
}
