/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verbs for memory that the other side can touch at any moment. Nothing in the library reads or
 * writes shared memory by a plain expression: the fields of wire structures are of the types below,
 * which no expression accepts.
 *
 * load/store      one access, no order: for fields that an index or a flag published before, or
 * will publish load_acquire    nothing after it is done before it: for the index or flag that
 * publishes store_release   everything before it is done before it: for the index or flag that
 * publishes fence           everything before it is visible before anything after it is read:
 * between publishing something and looking at whether the other side wants to be told read copy
 * bytes once into private memory; the compiler can't go back to the shared copy later
 *
 * A port to a core whose caches are not coherent with its peer puts the cache work inside these,
 * and nowhere else.
 *
 * @swap: the integers on the wire are of the other byte order than ours. A ring's wire is
 * little-endian, except a legacy ring, which has the byte order of its driver (VIRTIO 1.4, 2.4.3).
 */
#ifndef VD_MEM_SHM_H
#define VD_MEM_SHM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define vd_likely(condition)   __builtin_expect(!!(condition), 1)
#define vd_unlikely(condition) __builtin_expect(!!(condition), 0)

typedef struct {
	uint16_t raw;
} vd_sh16;

typedef struct {
	uint32_t raw;
} vd_sh32;

typedef struct {
	uint64_t raw;
} vd_sh64;

static inline bool vd_host_is_big_endian(void)
{
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
}

static inline uint16_t vd_swap16(uint16_t value, bool swap)
{
	return swap ? __builtin_bswap16(value) : value;
}

static inline uint32_t vd_swap32(uint32_t value, bool swap)
{
	return swap ? __builtin_bswap32(value) : value;
}

static inline uint64_t vd_swap64(uint64_t value, bool swap)
{
	return swap ? __builtin_bswap64(value) : value;
}

static inline uint16_t vd_load16(const vd_sh16 *p, bool swap)
{
	return vd_swap16(__atomic_load_n(&p->raw, __ATOMIC_RELAXED), swap);
}

static inline uint16_t vd_load16_acquire(const vd_sh16 *p, bool swap)
{
	return vd_swap16(__atomic_load_n(&p->raw, __ATOMIC_ACQUIRE), swap);
}

static inline void vd_store16(vd_sh16 *p, uint16_t value, bool swap)
{
	__atomic_store_n(&p->raw, vd_swap16(value, swap), __ATOMIC_RELAXED);
}

static inline void vd_store16_release(vd_sh16 *p, uint16_t value, bool swap)
{
	__atomic_store_n(&p->raw, vd_swap16(value, swap), __ATOMIC_RELEASE);
}

static inline uint32_t vd_load32(const vd_sh32 *p, bool swap)
{
	return vd_swap32(__atomic_load_n(&p->raw, __ATOMIC_RELAXED), swap);
}

static inline void vd_store32(vd_sh32 *p, uint32_t value, bool swap)
{
	__atomic_store_n(&p->raw, vd_swap32(value, swap), __ATOMIC_RELAXED);
}

/*
 * 64-bit fields are addresses in descriptors. They are published as a whole by a 16-bit index or
 * flag, so a core without 64-bit accesses may take them in two halves: a torn value can only come
 * from a peer that breaks the rules, and is checked like any other.
 */
static inline uint64_t vd_load64(const vd_sh64 *p, bool swap)
{
#if UINTPTR_MAX > 0xffffffffu
	return vd_swap64(__atomic_load_n(&p->raw, __ATOMIC_RELAXED), swap);
#else
	return vd_swap64(*(const volatile uint64_t *)&p->raw, swap);
#endif
}

static inline void vd_store64(vd_sh64 *p, uint64_t value, bool swap)
{
#if UINTPTR_MAX > 0xffffffffu
	__atomic_store_n(&p->raw, vd_swap64(value, swap), __ATOMIC_RELAXED);
#else
	*(volatile uint64_t *)&p->raw = vd_swap64(value, swap);
#endif
}

static inline void vd_fence(void)
{
#if defined(__SANITIZE_THREAD__) || defined(VD_TSAN)
	/* ThreadSanitizer does not know fences. A read-modify-write on our own stack orders as much
	 * on the machines it runs on, and hides nothing from it: all that a fence separates here
	 * are atomic accesses. */
	uint32_t anchor = 0;

	(void)__atomic_fetch_add(&anchor, 1, __ATOMIC_SEQ_CST);
#endif
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Between two looks at memory that somebody else is about to write. */
static inline void vd_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__arm__) && __ARM_ARCH >= 7)
	__asm__ volatile("yield" : : : "memory");
#else
	__asm__ volatile("" : : : "memory");
#endif
}

static inline void vd_shm_read(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	/* The compiler must believe that dst may have changed since, or it could read src again in
	 * its place. */
	__asm__ volatile("" : : "r"(dst) : "memory");
}

#endif /* VD_MEM_SHM_H */
