/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of the library in front of a hand-written peer, in guarded memory, for unit tests. Every
 * test of a ring runs in both byte orders; ON_SPLIT, ON_PACKED and ON_ALL make the cmocka rows.
 */
#ifndef RING_RIG_H
#define RING_RIG_H

#include "ring_pages.h"
#include "ring_peer.h"
#include "viaduct/vq_dev.h"
#include "viaduct/vq_drv.h"

struct variant {
	bool packed;
	bool big_endian;
};

extern const struct variant variants[4];

#define ON_VARIANT(test, what, n)                                                                  \
	{                                                                                          \
#test " (" what ")", test, NULL, NULL, (void *)(uintptr_t)&variants[n]             \
	}
#define ON_SPLIT(test)                                                                             \
	ON_VARIANT(test, "split, little-endian", 0), ON_VARIANT(test, "split, big-endian", 1)
#define ON_PACKED(test)                                                                            \
	ON_VARIANT(test, "packed, little-endian", 2), ON_VARIANT(test, "packed, big-endian", 3)
#define ON_ALL(test) ON_SPLIT(test), ON_PACKED(test)

struct rig_options {
	uint16_t size;
	uint64_t features;
	const struct vd_ring_position *position; /* device end; NULL: the start */
	struct vd_journal *journal;              /* device end */
	uint16_t table_entries;                  /* driver end */
	uint16_t chain_max;                      /* driver end */
};

/* The three parts of a ring, each between guards of its own. */
struct rig_ring {
	struct pages desc;
	struct pages driver;
	struct pages device;
};

void rig_ring_take(struct rig_ring *pages, struct peer_ring *ring);
void rig_ring_give(struct rig_ring *pages);

/* Compares all four. */
void rig_expect_fault(const struct vd_fault *fault, enum vd_fault_code code, uint64_t a, uint64_t b,
		      uint64_t c);

/* ---- the device end, and a mock driver ---- */

/* What the device sees. LOW, NEXT and READ_ONLY follow one another, in memory that does not; TOP
 * ends at 2^64 and ZERO begins at 0; MANY is the same memory RIG_MANY times over, 4 GiB in all. */
#define RIG_WINDOW     0x1000u
#define RIG_ZERO       UINT64_C(0)
#define RIG_LOW        UINT64_C(0x10000)
#define RIG_NEXT       (RIG_LOW + RIG_WINDOW)
#define RIG_READ_ONLY  (RIG_NEXT + RIG_WINDOW)
#define RIG_HOLE       (RIG_READ_ONLY + RIG_WINDOW)
#define RIG_WRITE_ONLY UINT64_C(0x30000)
#define RIG_TOP        (UINT64_MAX - RIG_WINDOW + 1)
#define RIG_MANY       16u
#define RIG_MANY_SIZE  (UINT32_C(1) << 28)
#define RIG_MANY_AT    UINT64_C(0x100000000)

#define RIG_IOV 1024

struct dev_rig {
	struct vd_vq_dev vq;
	struct peer_driver driver;
	struct vd_mem mem;
	struct vd_window windows[32];
	struct pages window_pages[6];
	void *many;
	struct rig_ring ring;
	struct pages state;
	struct vd_vq_dev_config config;
	struct vd_iov iov[RIG_IOV];
	struct vd_chain chain;
};

void dev_rig_open(struct dev_rig *rig, const struct variant *variant,
		  const struct rig_options *options);
void dev_rig_close(struct dev_rig *rig);

/* Where the bytes at a peer address are. */
unsigned char *dev_rig_at(struct dev_rig *rig, uint64_t peer);

/* Pop into rig->chain with all of rig->iov. */
int dev_rig_pop(struct dev_rig *rig);

/* The next pop finds this fault, and then the queue says so and does nothing whatever one tries. */
void dev_rig_expect_broken(struct dev_rig *rig, enum vd_fault_code code, uint64_t a, uint64_t b,
			   uint64_t c);

static inline struct peer_desc rig_out(uint64_t addr, uint32_t len)
{
	return (struct peer_desc){.addr = addr, .len = len};
}

static inline struct peer_desc rig_in(uint64_t addr, uint32_t len)
{
	return (struct peer_desc){.addr = addr, .len = len, .flags = 2};
}

/* A descriptor that refers to a table of @bytes bytes. */
static inline struct peer_desc rig_table(uint64_t addr, uint32_t bytes)
{
	return (struct peer_desc){.addr = addr, .len = bytes, .flags = 4};
}

/* ---- the driver end, and a mock device ---- */

/* What the device could see. */
#define RIG_DATA          UINT64_C(0x40000) /* all of drv_rig.data but its last byte is shown */
#define RIG_DATA_SIZE     0x4000u
#define RIG_CONST         UINT64_C(0x50000) /* read-only for the device */
#define RIG_TABLES        UINT64_C(0x7000000000)
#define RIG_NUMBER(token) ((uintptr_t)(token))
#define RIG_TOKEN(number) ((void *)(uintptr_t)(number))

struct drv_rig {
	struct vd_vq_drv vq;
	struct peer_device device;
	struct peer_chain chain;
	struct vd_mem mem;
	struct vd_window windows[3];
	struct pages data;
	struct pages constant;
	struct pages tables;
	struct rig_ring ring;
	struct pages state;
	struct vd_vq_drv_config config;
};

void drv_rig_open(struct drv_rig *rig, const struct variant *variant,
		  const struct rig_options *options);
void drv_rig_close(struct drv_rig *rig);

/* Add a buffer of @n_out segments of 16 bytes to read and @n_in to write, from the start of the
 * data on. */
int drv_rig_add(struct drv_rig *rig, unsigned n_out, unsigned n_in, uintptr_t number);

/* Add, publish, and have the device see it in rig->chain. Returns its head or id. */
uint16_t drv_rig_give(struct drv_rig *rig, unsigned n_out, unsigned n_in, uintptr_t number);

/* The next get returns this buffer and length. */
void drv_rig_expect(struct drv_rig *rig, uintptr_t number, uint32_t len);

/* The next get finds this fault, and then the queue says so and does nothing whatever one tries. */
void drv_rig_expect_broken(struct drv_rig *rig, enum vd_fault_code code, uint64_t a, uint64_t b,
			   uint64_t c);

#endif /* RING_RIG_H */
