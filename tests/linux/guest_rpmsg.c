/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs inside the kernel: everything a program can do with /dev/rpmsgN and /dev/rpmsg_ctrl0,
 * against the services of a `viaduct` rpmsg device. The first argument says what.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rpmsg.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAYLOAD_MAX 496

static void device_path(char *path, size_t size, int number)
{
	snprintf(path, size, "/dev/rpmsg%d", number);
}

static int open_rpmsg(int number, int flags)
{
	char path[32];

	device_path(path, sizeof(path), number);
	return open_soon(path, flags);
}

/* The service's address, which the kernel shows as the destination of the channel. */
static uint32_t service_addr(const char *name)
{
	char path[96];
	char line[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/rpmsg/rpmsg%d/dst", find_rpmsg(name, -1, -1));
	file = fopen(path, "r");
	CHECK(file != NULL && fgets(line, sizeof(line), file) != NULL);
	fclose(file);
	return (uint32_t)strtoul(line, NULL, 0);
}

static ssize_t read_message(int fd, void *bytes, size_t size)
{
	if (!wait_for(fd, POLLIN, PATIENCE_MS))
		die("no message came");
	return read(fd, bytes, size);
}

static void exchange(int fd, size_t len, unsigned seed)
{
	unsigned char out[PAYLOAD_MAX];
	unsigned char in[PAYLOAD_MAX + 16];
	ssize_t n;

	fill(out, len, seed);
	if (write(fd, out, len) != (ssize_t)len)
		die("write of %zu bytes", len);
	n = read_message(fd, in, sizeof(in));
	if (n != (ssize_t)len || !is_filled(in, len, seed))
		die("%zu bytes went out, %zd came back, or other ones", len, n);
}

/* ---- lengths: every one there is ---- */

static void lengths(void)
{
	int fd = open_rpmsg(find_rpmsg("rpmsg-raw", -1, -1), O_RDWR);
	unsigned char bytes[PAYLOAD_MAX + 1] = {0};

	for (size_t len = 0; len <= PAYLOAD_MAX; len++)
		exchange(fd, len, (unsigned)len);
	CHECK(write(fd, bytes, sizeof(bytes)) < 0 && errno == EMSGSIZE);
	exchange(fd, PAYLOAD_MAX, 1);
	close(fd);
}

/* ---- file: what a character device does ---- */

static void file_semantics(void)
{
	int number = find_rpmsg("rpmsg-raw", -1, -1);
	int fd = open_rpmsg(number, O_RDWR | O_NONBLOCK);
	unsigned char bytes[64];
	char path[32];

	device_path(path, sizeof(path), number);
	CHECK(read(fd, bytes, sizeof(bytes)) < 0 && errno == EAGAIN);
	CHECK(!wait_for(fd, POLLIN, 20));
	/* Only one may have it. */
	CHECK(open(path, O_RDWR) < 0 && errno == EBUSY);
	/* A short read takes the message, and the rest of it is lost. */
	fill(bytes, sizeof(bytes), 1);
	CHECK(write(fd, bytes, 64) == 64);
	CHECK(write(fd, "next", 4) == 4);
	CHECK(read_message(fd, bytes, 10) == 10 && is_filled(bytes, 10, 1));
	CHECK(read_message(fd, bytes, sizeof(bytes)) == 4 && memcmp(bytes, "next", 4) == 0);
	close(fd);
	/* Closing it leaves the channel as it was. */
	for (unsigned round = 0; round < 5; round++) {
		fd = open_rpmsg(number, O_RDWR);
		exchange(fd, 100, round);
		close(fd);
	}
}

/* ---- endpoints: made and destroyed through the control device ---- */

#define ENDPOINTS 8

static int make_endpoint(int ctrl, const char *name, uint32_t src, uint32_t dst)
{
	struct rpmsg_endpoint_info info = {.src = src, .dst = dst};

	snprintf(info.name, sizeof(info.name), "%s", name);
	if (ioctl(ctrl, RPMSG_CREATE_EPT_IOCTL, &info) != 0)
		die("RPMSG_CREATE_EPT_IOCTL %s", name);
	return find_rpmsg(name, src == UINT32_MAX ? -1 : (int64_t)src, dst);
}

static void destroy_endpoint(int fd, int number)
{
	char path[32];

	device_path(path, sizeof(path), number);
	if (ioctl(fd, RPMSG_DESTROY_EPT_IOCTL) != 0)
		die("RPMSG_DESTROY_EPT_IOCTL %s", path);
	close(fd);
	wait_gone(path);
}

static void endpoints(void)
{
	uint32_t service = service_addr("rpmsg-raw");
	int ctrl = open_soon("/dev/rpmsg_ctrl0", O_RDWR);
	int number[ENDPOINTS];
	int fd[ENDPOINTS];
	unsigned char bytes[PAYLOAD_MAX];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < ENDPOINTS; i++) {
			char name[32];

			snprintf(name, sizeof(name), "test-%u-%u", round, i);
			number[i] = make_endpoint(ctrl, name, i % 2 ? 3000 + i : UINT32_MAX,
						  service);
			fd[i] = open_rpmsg(number[i], O_RDWR);
		}
		/* All send before any reads: each must get its own back. */
		for (unsigned n = 0; n < 20; n++) {
			for (unsigned i = 0; i < ENDPOINTS; i++) {
				fill(bytes, 50 + i, n * ENDPOINTS + i);
				CHECK(write(fd[i], bytes, 50 + i) == 50 + (ssize_t)i);
			}
			for (unsigned i = ENDPOINTS; i-- > 0;) {
				CHECK(read_message(fd[i], bytes, sizeof(bytes)) == 50 + (ssize_t)i);
				CHECK(is_filled(bytes, 50 + i, n * ENDPOINTS + i));
			}
		}
		for (unsigned i = 0; i < ENDPOINTS; i++)
			destroy_endpoint(fd[i], number[i]);
	}
	close(ctrl);
}

/* ---- channel: the kernel announces one of its own, and takes it back ---- */

static void channel(void)
{
	struct rpmsg_endpoint_info info = {.name = "rpmsg-raw", .src = 2000};
	int ctrl = open_soon("/dev/rpmsg_ctrl0", O_RDWR);
	int fd;

	info.dst = service_addr("rpmsg-raw");
	for (unsigned round = 0; round < 3; round++) {
		if (ioctl(ctrl, RPMSG_CREATE_DEV_IOCTL, &info) != 0)
			die("RPMSG_CREATE_DEV_IOCTL");
		fd = open_rpmsg(find_rpmsg("rpmsg-raw", 2000, info.dst), O_RDWR);
		exchange(fd, 200, round);
		close(fd);
		if (ioctl(ctrl, RPMSG_RELEASE_DEV_IOCTL, &info) != 0)
			die("RPMSG_RELEASE_DEV_IOCTL");
		wait_gone("/sys/bus/rpmsg/devices/virtio0.rpmsg-raw.2000.1024");
	}
	close(ctrl);
}

/* ---- many: threads that talk at once, each over an endpoint of its own ---- */

#define TALKERS  6
#define MESSAGES 400

static void *talk(void *argument)
{
	int fd = *(int *)argument;

	for (unsigned i = 0; i < MESSAGES; i++)
		exchange(fd, 1 + i % PAYLOAD_MAX, i);
	return NULL;
}

static void many(void)
{
	uint32_t service = service_addr("rpmsg-raw");
	int ctrl = open_soon("/dev/rpmsg_ctrl0", O_RDWR);
	pthread_t threads[TALKERS];
	int fd[TALKERS];

	for (unsigned i = 0; i < TALKERS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "talker-%u", i);
		fd[i] = open_rpmsg(make_endpoint(ctrl, name, UINT32_MAX, service), O_RDWR);
		CHECK(pthread_create(&threads[i], NULL, talk, &fd[i]) == 0);
	}
	for (unsigned i = 0; i < TALKERS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

/* ---- source: a stream that nothing is missing from ---- */

static void source(void)
{
	int fd = open_rpmsg(find_rpmsg("rpmsg-raw", -1, -1), O_RDWR);
	unsigned long count = 3000;
	char bytes[512];

	CHECK(write(fd, "3000 100", 8) == 8);
	for (unsigned long i = 0; i < count; i++) {
		char number[11] = "";

		CHECK(read_message(fd, bytes, sizeof(bytes)) == 100);
		memcpy(number, bytes, 10);
		if (strtoul(number, NULL, 10) != i)
			die("message %lu came when %lu was due", strtoul(number, NULL, 10), i);
	}
	/* A paced one, stopped before its end. */
	CHECK(write(fd, "100000 40 500", 13) == 13);
	for (unsigned i = 0; i < 20; i++)
		CHECK(read_message(fd, bytes, sizeof(bytes)) == 40);
	CHECK(write(fd, "0", 1) == 1);
	while (wait_for(fd, POLLIN, 200))
		CHECK(read(fd, bytes, sizeof(bytes)) == 40);
	close(fd);
}

/* ---- sink: as fast as it goes ---- */

static void sink(void)
{
	int fd = open_rpmsg(find_rpmsg("rpmsg-raw", -1, -1), O_RDWR);
	unsigned char bytes[PAYLOAD_MAX];

	for (unsigned i = 0; i < 5000; i++) {
		fill(bytes, sizeof(bytes), i);
		CHECK(write(fd, bytes, sizeof(bytes)) == sizeof(bytes));
	}
	close(fd);
}

/* ---- rebind: the kernel's driver is taken off the device, and comes back ---- */

static void rebind(void)
{
	for (unsigned round = 0; round < 10; round++) {
		int number = find_rpmsg("rpmsg-raw", -1, -1);
		int fd = open_rpmsg(number, O_RDWR);
		char path[32];

		exchange(fd, 300, round);
		close(fd);
		device_path(path, sizeof(path), number);
		write_file("/sys/bus/virtio/drivers/virtio_rpmsg_bus/unbind", "virtio0");
		wait_gone(path);
		write_file("/sys/bus/virtio/drivers/virtio_rpmsg_bus/bind", "virtio0");
	}
}

/* The same one level below: the transport lets go of the back end, and connects again. */
static void reconnect(void)
{
	for (unsigned round = 0; round < 5; round++) {
		int number = find_rpmsg("rpmsg-raw", -1, -1);
		int fd = open_rpmsg(number, O_RDWR);
		char path[32];

		exchange(fd, 300, round);
		close(fd);
		device_path(path, sizeof(path), number);
		write_file("/sys/bus/platform/drivers/virtio-uml/unbind", "virtio-uml.0");
		wait_gone(path);
		write_file("/sys/bus/platform/drivers/virtio-uml/bind", "virtio-uml.0");
	}
}

/* ---- orphan: the back end is killed under load, and the kernel lives ---- */

static void orphan(void)
{
	int fd = open_rpmsg(find_rpmsg("rpmsg-raw", -1, -1), O_RDWR | O_NONBLOCK);
	unsigned char bytes[PAYLOAD_MAX] = {0};
	unsigned long written = 0;
	ssize_t n;

	exchange(fd, 10, 1);
	puts("ready"); /* whoever kills the back end waits for this */
	fflush(stdout);
	for (;;) {
		n = write(fd, bytes, sizeof(bytes));
		if (n == (ssize_t)sizeof(bytes))
			written++;
		else if (errno != EAGAIN && errno != ENOMEM)
			break;
		else if (wait_for(fd, POLLHUP | POLLERR, 1))
			break;
	}
	printf("write: %s after %lu messages\n", n < 0 ? strerror(errno) : "cut short", written);
	/* What Linux gives programs whose endpoint is gone. */
	errno = 0;
	n = write(fd, bytes, sizeof(bytes));
	CHECK(n < 0 && (errno == EPIPE || errno == ENODEV));
	CHECK(wait_for(fd, POLLHUP | POLLERR | POLLIN, PATIENCE_MS));
	close(fd);
	wait_gone("/dev/rpmsg0");
	puts("the kernel lives");
}

/* ---- two: devices do not mix up their channels ---- */

static void two(void)
{
	int first = open_rpmsg(find_rpmsg("rpmsg-raw", -1, 1111), O_RDWR);
	int second = open_rpmsg(find_rpmsg("rpmsg-raw", -1, 2222), O_RDWR);

	for (unsigned i = 0; i < 100; i++) {
		exchange(first, 1 + i, i);
		exchange(second, 1 + 2 * i, i + 1000);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{"lengths", lengths},
	{"file", file_semantics},
	{"endpoints", endpoints},
	{"channel", channel},
	{"many", many},
	{"source", source},
	{"sink", sink},
	{"rebind", rebind},
	{"reconnect", reconnect},
	{"orphan", orphan},
	{"two", two},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (strcmp(argv[1], tests[i].name) == 0) {
			tests[i].run();
			return 0;
		}
	}
	fprintf(stderr, "guest_rpmsg: no test '%s'\n", argc == 2 ? argv[1] : "");
	return 2;
}
