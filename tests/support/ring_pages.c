/* SPDX-License-Identifier: BSD-3-Clause */
/* Guarded pages: see ring_pages.h. */
#include "ring_pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)

static void *must_map(void *at, size_t size, int prot, int flags, int fd)
{
	void *mapping = mmap(at, size, prot, flags, fd, 0);

	if (mapping == MAP_FAILED) {
		perror("mmap");
		abort();
	}
	return mapping;
}

/* @inner bytes of @fd (or of nothing in particular, -1) between two guards. */
static unsigned char *map_guarded(size_t inner, int fd)
{
	unsigned char *outer = must_map(NULL, inner + 2 * PAGE, PROT_NONE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1);

	must_map(outer + PAGE, inner, PROT_READ | PROT_WRITE,
		 MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), fd);
	return outer;
}

static size_t inner_size(size_t size)
{
	return (size + PAGE - 1) / PAGE * PAGE;
}

static size_t offset_of(size_t size, size_t align)
{
	return PAGE + (inner_size(size) - size) / align * align;
}

void pages_take(struct pages *pages, size_t size, size_t align)
{
	unsigned char *outer = map_guarded(inner_size(size), -1);

	*pages = (struct pages){
		.at = outer + offset_of(size, align),
		.mapping = outer,
		.mapped = inner_size(size) + 2 * PAGE,
	};
}

void pages_take_twice(struct pages *pages, size_t size, size_t align)
{
	int fd = memfd_create("pages", MFD_CLOEXEC);
	unsigned char *outer;
	unsigned char *other;

	if (fd < 0 || ftruncate(fd, (off_t)inner_size(size)) != 0) {
		perror("memfd");
		abort();
	}
	outer = map_guarded(inner_size(size), fd);
	other = map_guarded(inner_size(size), fd);
	close(fd);
	*pages = (struct pages){
		.at = outer + offset_of(size, align),
		.mapping = outer,
		.mapped = inner_size(size) + 2 * PAGE,
		.alias = other + offset_of(size, align),
		.alias_mapping = other,
	};
}

void pages_give(struct pages *pages)
{
	if (pages->mapping != NULL)
		munmap(pages->mapping, pages->mapped);
	if (pages->alias_mapping != NULL)
		munmap(pages->alias_mapping, pages->mapped);
	memset(pages, 0, sizeof(*pages));
}
