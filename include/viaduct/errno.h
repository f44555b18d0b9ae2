/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Error numbers. Every Viaduct function that can fail returns 0 or a count on success and one of
 * these, negated, on failure.
 *
 * The values are Linux's (asm-generic/errno.h and errno-base.h), on every machine, so that an error
 * carried from firmware to a Linux program means the same thing on both sides; C libraries for
 * small cores number them differently. src/os/linux checks at build time that they agree with the
 * host's <errno.h>.
 *
 * Three families that callers usually treat differently:
 *   the peer did something impossible   -VD_EPROTO (the queue or link is broken until reset),
 * -VD_EBADMSG (this one request) the caller made a mistake           -VD_EINVAL, -VD_EFAULT,
 * -VD_ERANGE, -VD_EMSGSIZE, -VD_E2BIG, -VD_EACCES something ran out, or is not there  -VD_ENOSPC,
 * -VD_ENOMEM, -VD_EAGAIN, -VD_ETIMEDOUT, -VD_ENODEV, -VD_EPIPE
 */
#ifndef VIADUCT_ERRNO_H
#define VIADUCT_ERRNO_H

enum vd_errno {
	VD_ENOENT = 2,
	VD_EINTR = 4,
	VD_EIO = 5,
	VD_ENXIO = 6,
	VD_E2BIG = 7,
	VD_EAGAIN = 11,
	VD_ENOMEM = 12,
	VD_EACCES = 13,
	VD_EFAULT = 14,
	VD_EBUSY = 16,
	VD_EEXIST = 17,
	VD_ENODEV = 19,
	VD_EINVAL = 22,
	VD_ENOSPC = 28,
	VD_EPIPE = 32,
	VD_ERANGE = 34,
	VD_ENOSYS = 38,
	VD_EPROTO = 71,
	VD_EBADMSG = 74,
	VD_EOVERFLOW = 75,
	VD_EMSGSIZE = 90,
	VD_EOPNOTSUPP = 95,
	VD_EADDRINUSE = 98,
	VD_ECONNRESET = 104,
	VD_ETIMEDOUT = 110,
	VD_ESTALE = 116,
};

#endif /* VIADUCT_ERRNO_H */
