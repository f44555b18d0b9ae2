/* SPDX-License-Identifier: BSD-3-Clause */
/* `viaduct device`: a device as a vhost-user back end of its own. */
#include "cmd.h"
#include "server.h"
#include "ui.h"
#include "viaduct/linux.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_JSON = 'j', OPT_PERSIST = 'p', OPT_SOCKET = 's', OPT_TRACE = 't', OPT_VERBOSE = 'v' };

struct arguments {
	const char *spec;
	const char *socket;
	bool persist;
	bool json;
	bool trace;
	bool verbose;
};

static const struct argp_option options[] = {
	{"socket", OPT_SOCKET, "PATH", 0, "listen at this Unix socket (required)", 0},
	{"persist", OPT_PERSIST, NULL, 0,
	 "when a front end is gone, wait for the next one instead of ending", 0},
	{"json", OPT_JSON, NULL, 0, "tell what happens on standard output, an object a line", 0},
	{"verbose", OPT_VERBOSE, NULL, 0, "tell everything that happens", 0},
	{"trace", OPT_TRACE, NULL, 0, "show the vhost-user messages of the front end", 0},
	{0},
};

static const char doc_before[] =
	"Be a virtio device for whoever connects to a Unix socket as a vhost-user front\n"
	"end: User Mode Linux, QEMU, or another `viaduct`.";

static const char doc_after[] =
	"SIGUSR1 shows how much went through; SIGINT or SIGTERM ends it. Exit status: 0\n"
	"if the front end left or a signal came, 1 if the front end had to be\n"
	"disconnected because it broke the protocol.\n"
	"\n"
	"Devices:\n";

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case OPT_SOCKET:
		arguments->socket = text;
		return 0;
	case OPT_PERSIST:
		arguments->persist = true;
		return 0;
	case OPT_JSON:
		arguments->json = true;
		return 0;
	case OPT_TRACE:
		arguments->trace = true;
		arguments->verbose = true;
		return 0;
	case OPT_VERBOSE:
		arguments->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->spec != NULL)
			argp_error(state, "one device at a time; '%s' is a second one", text);
		arguments->spec = text;
		return 0;
	case ARGP_KEY_END:
		if (arguments->spec == NULL)
			argp_error(state, "say which device; see the list below --help");
		if (arguments->socket == NULL)
			argp_error(state, "say where to listen: --socket PATH");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static char *help_filter(int key, const char *text, void *unused)
{
	(void)unused;
	return vt_help_append(key, text, vt_device_help);
}

/* ---- running ---- */

static const int ending[] = {SIGINT, SIGTERM, SIGHUP};

#define N_SIGNALS (sizeof(ending) / sizeof(ending[0]) + 1)

struct session {
	uv_loop_t loop;
	struct vt_device device;
	struct vt_server server;
	uv_signal_t signals[N_SIGNALS]; /* the ending ones, and SIGUSR1 */
	int status;
	bool closing;
};

static void close_all(struct session *session)
{
	if (session->closing)
		return;
	session->closing = true;
	for (size_t i = 0; i < N_SIGNALS; i++)
		uv_close((uv_handle_t *)&session->signals[i], NULL);
	vt_server_close(&session->server);
	vt_device_close(&session->device);
}

static void on_end(uv_signal_t *handle, int number)
{
	(void)number;
	close_all(handle->data);
}

static void on_usr1(uv_signal_t *handle, int number)
{
	struct session *session = handle->data;

	(void)number;
	if (session->device.kind->tell != NULL)
		session->device.kind->tell(&session->device);
}

static void front_end_left(struct vt_server *server, int err)
{
	struct session *session = server->owner;

	session->status = err == -ECONNRESET ? VT_EXIT_OK : VT_EXIT_FAILED;
	close_all(session);
}

static void watch_signals(struct session *session)
{
	for (size_t i = 0; i < N_SIGNALS; i++) {
		uv_signal_init(&session->loop, &session->signals[i]);
		session->signals[i].data = session;
		if (i < N_SIGNALS - 1)
			uv_signal_start(&session->signals[i], on_end, ending[i]);
		else
			uv_signal_start(&session->signals[i], on_usr1, SIGUSR1);
	}
}

static int serve(struct session *session, const struct arguments *arguments)
{
	struct vt_report report = {.json = arguments->json, .verbose = arguments->verbose};
	int err = vt_device_create(&session->device, arguments->spec, &session->loop, &report);

	if (err != 0)
		return err == -EINVAL || err == -ENODEV ? VT_EXIT_USAGE : VT_EXIT_FAILED;
	session->server = (struct vt_server){
		.device = &session->device,
		.persist = arguments->persist,
		.trace = arguments->trace,
		.ended = front_end_left,
		.owner = session,
	};
	if (vt_server_open(&session->server, arguments->socket) != 0) {
		vt_device_close(&session->device);
		uv_run(&session->loop, UV_RUN_DEFAULT);
		vt_device_destroy(&session->device);
		return VT_EXIT_FAILED;
	}
	watch_signals(session);
	vt_report(&session->device.report, "listening",
		  json_pack("{s:s}", "socket", arguments->socket), "listening at %s",
		  arguments->socket);
	uv_run(&session->loop, UV_RUN_DEFAULT);
	vt_server_destroy(&session->server);
	vt_device_destroy(&session->device);
	return session->status;
}

static int run(int argc, char **argv)
{
	static struct session session;
	struct arguments arguments = {0};
	struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "SPEC --socket PATH",
		.help_filter = help_filter,
	};
	char doc[sizeof(doc_before) + sizeof(doc_after)];
	int status;

	snprintf(doc, sizeof(doc), "%s\v%s", doc_before, doc_after);
	argp.doc = doc;
	argp_err_exit_status = VT_EXIT_USAGE;
	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments) != 0)
		return VT_EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN);
	if (vd_guard_install() != 0)
		vt_warn("a front end that takes its memory away will end this process");
	uv_loop_init(&session.loop);
	status = serve(&session, &arguments);
	uv_loop_close(&session.loop);
	return status;
}

const struct vt_cmd vt_cmd_device = {
	.name = "device",
	.summary = "be a virtio device that listens on a Unix socket",
	.run = run,
};
