/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that ends at a page nobody may touch, and begins behind one: a step outside is a crash. */
#ifndef RING_PAGES_H
#define RING_PAGES_H

#include <stddef.h>

struct pages {
	void *at; /* @size bytes, as close to the upper guard as @align allows; all zero */
	void *mapping;
	size_t mapped;
	void *alias; /* the same bytes at another address, if asked for */
	void *alias_mapping;
};

/* Aborts if there is no memory. */
void pages_take(struct pages *pages, size_t size, size_t align);

/* The same bytes twice, at two addresses: one for each side. */
void pages_take_twice(struct pages *pages, size_t size, size_t align);

void pages_give(struct pages *pages);

#endif /* RING_PAGES_H */
