/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults in words. A formatter of its own, because the core links against nothing that has one. */
#include "viaduct/fault.h"

#include <stdbool.h>

static const struct {
	const char *name;
	const char *text;
} faults[] = {
#define FAULT_ROW(name, text) [VD_FAULT_##name] = {#name, text},
	VD_FAULT_TABLE(FAULT_ROW)
#undef FAULT_ROW
};

struct sink {
	char *at;
	size_t size;
	size_t length;
};

static void put_char(struct sink *sink, char c)
{
	if (sink->length + 1 < sink->size)
		sink->at[sink->length] = c;
	sink->length++;
}

static void put_number(struct sink *sink, uint64_t value, bool hex)
{
	char digits[20];
	unsigned base = hex ? 16 : 10;
	unsigned n = 0;

	do
		digits[n++] = "0123456789abcdef"[value % base];
	while ((value /= base) != 0);
	if (hex) {
		put_char(sink, '0');
		put_char(sink, 'x');
	}
	while (n > 0)
		put_char(sink, digits[--n]);
}

/* @mark points behind the brace of "{0}" or "{2x}". Returns what follows the closing one. */
static const char *put_value(struct sink *sink, const char *mark, const uint64_t *value)
{
	bool hex = mark[1] == 'x';

	put_number(sink, value[mark[0] - '0'], hex);
	return mark + (hex ? 3 : 2);
}

const char *vd_fault_name(enum vd_fault_code code)
{
	return (unsigned)code < VD_FAULT_COUNT ? faults[code].name : "?";
}

size_t vd_fault_text(const struct vd_fault *fault, char *text, size_t size)
{
	struct sink sink = {.at = text, .size = size};
	const char *p = (unsigned)fault->code < VD_FAULT_COUNT ? faults[fault->code].text
							       : "unknown fault";

	while (*p != '\0') {
		if (*p == '{')
			p = put_value(&sink, p + 1, fault->value);
		else
			put_char(&sink, *p++);
	}
	if (size > 0)
		text[sink.length < size ? sink.length : size - 1] = '\0';
	return sink.length;
}
