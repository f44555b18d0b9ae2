/* SPDX-License-Identifier: BSD-3-Clause */
/* The cursor over scattered bytes: see viaduct/iov.h. */
#include "viaduct/iov.h"

#include "mem/shm.h"

void vd_cursor_init(struct vd_cursor *cursor, const struct vd_iov *iov, size_t count)
{
	*cursor = (struct vd_cursor){.iov = iov, .left_iov = count};
}

/* The next run of bytes that follow one another, at most @len. 0 at the end. */
static size_t next_run(struct vd_cursor *cursor, size_t len, void **at)
{
	size_t rest;

	while (cursor->left_iov > 0 && cursor->offset == cursor->iov->len) {
		cursor->iov++;
		cursor->left_iov--;
		cursor->offset = 0;
	}
	if (cursor->left_iov == 0)
		return 0;
	rest = cursor->iov->len - cursor->offset;
	*at = (unsigned char *)cursor->iov->base + cursor->offset;
	return len < rest ? len : rest;
}

static void pass(struct vd_cursor *cursor, size_t run)
{
	cursor->offset += run;
	cursor->done += run;
}

size_t vd_cursor_pull(struct vd_cursor *cursor, void *dst, size_t len)
{
	size_t total = 0;
	size_t run;
	void *at;

	while (total < len && (run = next_run(cursor, len - total, &at)) > 0) {
		vd_shm_read((unsigned char *)dst + total, at, run);
		pass(cursor, run);
		total += run;
	}
	return total;
}

size_t vd_cursor_push(struct vd_cursor *cursor, const void *src, size_t len)
{
	size_t total = 0;
	size_t run;
	void *at;

	while (total < len && (run = next_run(cursor, len - total, &at)) > 0) {
		memcpy(at, (const unsigned char *)src + total, run);
		pass(cursor, run);
		total += run;
	}
	return total;
}

size_t vd_cursor_skip(struct vd_cursor *cursor, size_t len)
{
	size_t total = 0;
	size_t run;
	void *at;

	while (total < len && (run = next_run(cursor, len - total, &at)) > 0) {
		pass(cursor, run);
		total += run;
	}
	return total;
}

size_t vd_cursor_left(const struct vd_cursor *cursor)
{
	size_t left = 0;

	for (size_t i = 0; i < cursor->left_iov; i++)
		left += cursor->iov[i].len;
	return left - (cursor->left_iov > 0 ? cursor->offset : 0);
}
