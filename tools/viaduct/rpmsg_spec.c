/* SPDX-License-Identifier: BSD-3-Clause */
/* The SPEC of the rpmsg device: which services, and how the device is made. */
#include "service.h"
#include "ui.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct vt_service_kind *const vt_service_kinds[] = {
	&vt_service_echo, &vt_service_sink,   &vt_service_source,
	&vt_service_tty,  &vt_service_sample, NULL,
};

/* ---- services ---- */

static const struct vt_service_kind *find_kind(const char *name, size_t length)
{
	for (size_t i = 0; vt_service_kinds[i] != NULL; i++)
		if (strlen(vt_service_kinds[i]->name) == length &&
		    strncmp(vt_service_kinds[i]->name, name, length) == 0)
			return vt_service_kinds[i];
	return NULL;
}

static int bad_service(const char *text)
{
	vt_error("'service=%s' should be service=KIND[:NAME][@ADDR], with one of the kinds that "
		 "`viaduct device --help` lists, a name of at most %d bytes, and an address",
		 text, VD_RPMSG_NAME_SIZE - 1);
	return -EINVAL;
}

/* What of @text is a name; the rest, behind a colon, is arguments. */
static bool is_arguments(const char *text)
{
	return strncmp(text, "exec=", 5) == 0 || strncmp(text, "link=", 5) == 0;
}

/* "[NAME][@ADDR]", behind the kind. */
static bool parse_name(struct vt_service *service, char *text)
{
	char *at = strchr(text, '@');
	uint64_t addr;

	if (at != NULL) {
		if (!vt_spec_number(at + 1, 0, VD_RPMSG_ADDR_ANY - 1, &addr) ||
		    addr == VD_RPMSG_NS_ADDR)
			return false;
		service->addr = (uint32_t)addr;
		*at = '\0';
	}
	if (strlen(text) >= sizeof(service->name))
		return false;
	if (*text != '\0')
		strcpy(service->name, text);
	return true;
}

int vt_rpmsg_parse_service(struct vt_service *service, char *text, char **arguments)
{
	size_t length = strcspn(text, ":@");
	char *rest = text + length;
	char saved[256];

	snprintf(saved, sizeof(saved), "%s", text);
	service->kind = find_kind(text, length);
	service->addr = VD_RPMSG_ADDR_ANY;
	*arguments = NULL;
	if (service->kind == NULL)
		return bad_service(saved);
	strcpy(service->name, service->kind->channel);
	if (*rest == ':')
		*rest++ = '\0';
	if (is_arguments(rest)) {
		*arguments = rest;
		return 0;
	}
	*arguments = strchr(rest, ':');
	if (*arguments != NULL)
		*(*arguments)++ = '\0';
	return parse_name(service, rest) ? 0 : bad_service(saved);
}

/* ---- the device ---- */

static bool feature_bit(const char *name, uint64_t features, uint64_t *bit)
{
	for (unsigned i = 0; name != NULL && i < 64; i++) {
		const char *known = vd_feature_name(&vd_rpmsg_type, i);

		if ((features & VD_BIT(i)) && known != NULL && strcmp(known, name) == 0) {
			*bit = VD_BIT(i);
			return true;
		}
	}
	return false;
}

static int bad_option(const struct vt_spec_option *option, const char *should)
{
	vt_error("rpmsg: '%s%s%s' should be %s", option->key, option->value != NULL ? "=" : "",
		 option->value != NULL ? option->value : "", should);
	return -EINVAL;
}

int vt_rpmsg_parse_option(struct vd_rpmsg_remote_config *config,
			  const struct vt_spec_option *option)
{
	uint64_t value;

	if (strcmp(option->key, "service") == 0)
		return option->value != NULL ? 0 : bad_option(option, "service=KIND[:NAME][@ADDR]");
	if (strcmp(option->key, "off") == 0) {
		if (!feature_bit(option->value, config->features, &value))
			return bad_option(option, "off=FEATURE, such as off=RING_PACKED");
		config->features &= ~value;
		return 0;
	}
	if (strcmp(option->key, "size") == 0) {
		if (!vt_spec_number(option->value, VD_RPMSG_HEADER_SIZE + 1, 65536, &value))
			return bad_option(option, "size=BYTES, from 17 to 65536");
		config->h2r_size = (uint32_t)value;
		config->r2h_size = (uint32_t)value;
		config->link.max_payload = (uint32_t)value;
		return 0;
	}
	if (strcmp(option->key, "spin") == 0) {
		if (!vt_spec_number(option->value, 0, UINT16_MAX, &value))
			return bad_option(option, "spin=TIMES, from 0 to 65535");
		config->idle_polls = (uint16_t)value;
		return 0;
	}
	return bad_option(option, "service=, off=, size= or spin=");
}
