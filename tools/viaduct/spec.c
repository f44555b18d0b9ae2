/* SPDX-License-Identifier: BSD-3-Clause */
/* SPECs: see spec.h. */
#include "spec.h"
#include "ui.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Cut off the part before the next single comma, making one of doubled ones. Returns what follows,
 * or NULL at the end. */
static char *cut(char *part)
{
	char *to = part;

	for (char *from = part; *from != '\0'; from++) {
		if (*from == ',' && from[1] != ',') {
			*to = '\0';
			return from + 1;
		}
		if (*from == ',')
			from++;
		*to++ = *from;
	}
	*to = '\0';
	return NULL;
}

static int add_option(struct vt_spec *spec, char *part)
{
	struct vt_spec_option *option = &spec->options[spec->n_options];

	if (spec->n_options == VT_SPEC_OPTIONS) {
		vt_error("'%s' is one option too many: a device takes %d", part, VT_SPEC_OPTIONS);
		return -E2BIG;
	}
	option->key = part;
	option->value = strchr(part, '=');
	if (option->value != NULL)
		*option->value++ = '\0';
	spec->n_options++;
	return 0;
}

int vt_spec_parse(struct vt_spec *spec, const char *text)
{
	char *next;
	int err = 0;

	memset(spec, 0, sizeof(*spec));
	spec->text = strdup(text);
	if (spec->text == NULL)
		return -ENOMEM;
	spec->kind = spec->text;
	next = cut(spec->kind);
	while (err == 0 && next != NULL) {
		char *part = next;

		next = cut(part);
		err = add_option(spec, part);
	}
	if (err != 0)
		vt_spec_free(spec);
	return err;
}

void vt_spec_free(struct vt_spec *spec)
{
	free(spec->text);
	spec->text = NULL;
}

bool vt_spec_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno == 0 && *end == '\0' && *value >= min && *value <= max;
}
