/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program as it runs on the Linux side of a product: it talks to services of another processor
 * through the kernel's rpmsg devices, and knows nothing of Viaduct. `./demo` runs it in a real
 * kernel whose other processor is Viaduct.
 *
 * It expects an echo service at address 1024, a source of numbered messages at 1025, and a terminal
 * that returns what it gets.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ECHO_ADDR   1024
#define SOURCE_ADDR 1025

#define PAYLOAD_MAX 496 /* what a buffer of 512 bytes leaves for it */
#define PATIENCE_MS 10000

static void fail(const char *what)
{
	fprintf(stderr, "rpmsg-tour: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void pause_ms(long ms)
{
	struct timespec time = {.tv_nsec = ms * 1000000};

	nanosleep(&time, NULL);
}

/* ---- finding devices ---- */

/* A device node appears a moment after the other processor has announced its service. */
static int open_soon(const char *path)
{
	for (int waited = 0; waited < PATIENCE_MS; waited += 5) {
		int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

		if (fd >= 0)
			return fd;
		pause_ms(5);
	}
	fail(path);
	return -1;
}

static long attribute(int number, const char *name)
{
	char path[64];
	char text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/rpmsg/rpmsg%d/%s", number, name);
	file = fopen(path, "r");
	if (file == NULL)
		return -1;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	fclose(file);
	return strtol(text, NULL, 0);
}

/* Which /dev/rpmsgN leads to the service at @addr? */
static void find_service(long addr, char *path, size_t size)
{
	for (int waited = 0; waited < PATIENCE_MS; waited += 5) {
		for (int number = 0; number < 16; number++) {
			if (attribute(number, "dst") != addr)
				continue;
			snprintf(path, size, "/dev/rpmsg%d", number);
			return;
		}
		pause_ms(5);
	}
	errno = ENODEV;
	fail("a service did not come up");
}

/* ---- a line of the table ---- */

static void row(const char *service, long addr, const char *device, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void row(const char *service, long addr, const char *device, const char *format, ...)
{
	va_list args;

	printf("%-10s", service);
	if (addr >= 0)
		printf(" %7ld", addr);
	else
		printf(" %7s", "");
	printf("  %-15s ", device);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* ---- the services ---- */

static void await(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};

	if (poll(&entry, 1, PATIENCE_MS) != 1) {
		errno = ETIMEDOUT;
		fail("no answer");
	}
}

static int smaller(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static void tour_echo(void)
{
	enum { MESSAGES = 1000 };
	static double times[MESSAGES];
	unsigned char out[PAYLOAD_MAX];
	unsigned char in[PAYLOAD_MAX];
	char path[32];
	int fd;

	find_service(ECHO_ADDR, path, sizeof(path));
	fd = open_soon(path);
	for (int i = 0; i < MESSAGES; i++) {
		size_t len = (size_t)i % (PAYLOAD_MAX + 1);
		double began = now_us();

		memset(out, i, len);
		if (write(fd, out, len) != (ssize_t)len)
			fail("write");
		await(fd);
		if (read(fd, in, sizeof(in)) != (ssize_t)len || memcmp(in, out, len) != 0)
			fail("another message came back");
		times[i] = now_us() - began;
	}
	close(fd);
	qsort(times, MESSAGES, sizeof(times[0]), smaller);
	row("echo", ECHO_ADDR, path,
	    "%d messages of 0 to %d bytes came back; %.0f us each (median)", MESSAGES, PAYLOAD_MAX,
	    times[MESSAGES / 2]);
}

static void tour_source(void)
{
	enum { MESSAGES = 2000 };
	char bytes[PAYLOAD_MAX + 1];
	double began = now_us();
	char path[32];
	int fd;

	find_service(SOURCE_ADDR, path, sizeof(path));
	fd = open_soon(path);
	if (write(fd, "2000 100", 8) != 8)
		fail("write");
	for (long i = 0; i < MESSAGES; i++) {
		ssize_t n;

		await(fd);
		n = read(fd, bytes, sizeof(bytes) - 1);
		bytes[n > 10 ? 10 : 0] = '\0';
		if (strtol(bytes, NULL, 10) != i)
			fail("a message is missing");
	}
	close(fd);
	row("source", SOURCE_ADDR, path, "%d numbered messages, none missing; %.0f a second",
	    MESSAGES, MESSAGES / (now_us() - began) * 1e6);
}

static void tour_tty(void)
{
	static const char path[] = "/dev/ttyRPMSG0";
	static const char text[] = "what is typed here is printed there\n";
	struct termios settings;
	char in[sizeof(text)];
	size_t got = 0;
	int fd = open_soon(path);

	if (tcgetattr(fd, &settings) != 0)
		fail(path);
	cfmakeraw(&settings);
	if (tcsetattr(fd, TCSANOW, &settings) != 0 ||
	    write(fd, text, sizeof(text) - 1) != (ssize_t)sizeof(text) - 1)
		fail(path);
	while (got < sizeof(text) - 1) {
		ssize_t n;

		await(fd);
		n = read(fd, in + got, sizeof(text) - 1 - got);
		if (n <= 0)
			fail(path);
		got += (size_t)n;
	}
	if (memcmp(in, text, got) != 0)
		fail("the terminal returned something else");
	close(fd);
	row("tty", -1, path, "%zu bytes through a terminal with a program behind it", got);
}

int main(void)
{
	struct utsname system;

	if (uname(&system) != 0)
		fail("uname");
	printf("%s %s, with its own rpmsg bus; the other processor is Viaduct\n\n", system.sysname,
	       system.release);
	printf("%-10s %7s  %-15s %s\n", "SERVICE", "ADDRESS", "DEVICE", "EXCHANGED");
	tour_echo();
	tour_source();
	tour_tty();
	return 0;
}
