/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `viaduct linux` (the host) and process 1 of the kernel it boots (the guest) say to each
 * other. Both are built from this header.
 *
 * Two things join them, and each is used for what it is good at:
 *
 *   The line    A console line of the kernel; on the host one end of a socket pair. Bytes towards
 *               the host go at memory speed. Towards the guest the kernel makes one system call a
 *               byte, and it never reads the line again once 3968 bytes have been waiting in the
 *               guest (its console driver stops the line and can't start it). So towards the guest
 *               go frames of eight bytes, without payload, and never so many that they could pile
 *               up: see "credit" below.
 *   The window  Memory that both map. Here the host leaves the set-up of the command, and the bytes
 *               of its standard input.
 *
 * Credit. Every frame towards the guest waits for an answer, or spends something that only an
 * answer gives back:
 *   INPUT    takes one of VT_WIRE_SLOTS slots; SLOT_FREE gives it back.
 *   CREDIT   the guest may send VT_WIRE_CREDIT bytes of each stream; the host gives back what it
 *            wrote out, in steps of at least a quarter, so at most four such frames of a stream are
 *            ever unread.
 *   RESIZE, SIGNAL   one of them at a time; CONTROL_DONE ends it.
 *   INPUT_END, CLOSE come once each.
 * That makes at most 4 + 3 * 4 + 1 + 1 + 3 frames, 168 bytes. The same credit bounds what the host
 * must keep of a stream that nobody reads.
 */
#ifndef VIADUCT_WIRE_H
#define VIADUCT_WIRE_H

#include <stdint.h>

/* Where the guest finds them: names in /dev. */
#define VT_WIRE_LINE   "tty1"
#define VT_WIRE_WINDOW "mmapper"

/* The streams of the command. TERMINAL is what its terminal shows, if it has one. */
enum vt_wire_stream {
	VT_WIRE_STDOUT,
	VT_WIRE_STDERR,
	VT_WIRE_TERMINAL,
	VT_WIRE_STREAMS,
};

enum {
	VT_WIRE_SLOTS = 4,
	VT_WIRE_SLOT_SIZE = 64 * 1024,
	VT_WIRE_CREDIT = 256 * 1024,     /* bytes of one stream on their way */
	VT_WIRE_CREDIT_STEP = 64 * 1024, /* least that the host gives back at once */
	VT_WIRE_PAYLOAD_MAX = 32 * 1024, /* bytes behind one frame of the guest */
};

enum vt_wire_type {
	/* host to guest */
	VT_WIRE_INPUT = 1,   /* value: slot, length: bytes of standard input in it */
	VT_WIRE_INPUT_END,   /* standard input ends here */
	VT_WIRE_CREDIT_BACK, /* stream, length: so many more bytes may come */
	VT_WIRE_CLOSE,       /* stream: nobody will read it any more */
	VT_WIRE_RESIZE,      /* value: rows, length: columns of the terminal */
	VT_WIRE_SIGNAL,      /* value: signal for the command */

	/* guest to host */
	VT_WIRE_STARTED = 64, /* the command runs */
	VT_WIRE_FAILED,       /* it can't: value: exit status, payload: why, as text */
	VT_WIRE_OUTPUT,       /* stream, payload */
	VT_WIRE_OUTPUT_END,   /* stream: the command closed it */
	VT_WIRE_SLOT_FREE,    /* value: slot */
	VT_WIRE_INPUT_CLOSED, /* the command closed its standard input */
	VT_WIRE_CONTROL_DONE, /* RESIZE or SIGNAL was carried out */
	VT_WIRE_EXIT,         /* value: exit status of the command; the last frame */
};

struct vt_wire_frame {
	uint8_t type;
	uint8_t stream;
	uint16_t value;
	uint32_t length; /* from the guest: bytes of payload that follow */
};

_Static_assert(sizeof(struct vt_wire_frame) == 8, "the credit above counts on eight bytes");

#define VT_WIRE_MAGIC   0x7564616976007476ull
#define VT_WIRE_VERSION 1u

/* At offset 0 of the window, written before the kernel starts. */
struct vt_wire_setup {
	uint64_t magic;
	uint32_t version;
	uint32_t size;     /* bytes of this and of the records behind it */
	uint64_t slots_at; /* offset of slot 0 */
	uint64_t ignored;  /* signals the command starts with ignored: bit N - 1 for signal N */
	uint32_t flags;
	uint32_t umask;
	uint16_t rows;
	uint16_t columns;
	uint32_t reserved;
};

/* Flags: which of the command's streams is its terminal, and whether the two outputs are one. */
#define VT_WIRE_TERMINAL_IN  1u
#define VT_WIRE_TERMINAL_OUT 2u
#define VT_WIRE_TERMINAL_ERR 4u
#define VT_WIRE_ERR_IS_OUT   8u

enum vt_wire_record_kind {
	VT_WIRE_ARG = 1,   /* one word of the command, in order */
	VT_WIRE_ENV,       /* one NAME=VALUE */
	VT_WIRE_DIRECTORY, /* where the command starts */
	VT_WIRE_SHARE,     /* a path of the host to be seen through a fresh mount */
};

/* Followed by `length` bytes of text; the last of them is 0. Not aligned. */
struct vt_wire_record {
	uint32_t kind;
	uint32_t length;
};

#endif /* VIADUCT_WIRE_H */
