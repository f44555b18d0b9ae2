/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a peer did wrong, in numbers that can be kept, counted and compared, and in words that a
 * person can read.
 *
 * A fault is recorded where it is found, on a path that may run in an interrupt, so it is a code
 * and up to three values and nothing is formatted until somebody asks. The table below is the whole
 * of it: code, then text; {0} is the first value in decimal, {0x} the same in hexadecimal.
 */
#ifndef VIADUCT_FAULT_H
#define VIADUCT_FAULT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
#define VD_FAULT_TABLE(X)                                                                                       \
	X(NONE, "no fault")                                                                                     \
	/* found by the device end of a queue: the driver broke a rule */                                       \
	X(AVAIL_JUMP, "available index moved from {0} to {1}, but only {2} more buffers can be outstanding")    \
	X(HEAD_RANGE, "available entry names descriptor {0}, but the queue has {1}")                            \
	X(HEAD_BUSY, "descriptor {0} was made available again before it was used")                              \
	X(NEXT_RANGE, "descriptor {0} continues at {1}, but its table has {2} entries")                         \
	X(NEXT_ORDER, "descriptor {0} continues at {1}, but IN_ORDER requires {2}")                             \
	X(CHAIN_LONG, "a chain has more than {0} descriptors (a loop?)")                                        \
	X(CHAIN_BYTES, "a chain describes {0} bytes, more than 2^32")                                           \
	X(READ_AFTER_WRITE, "device-readable descriptor {0} comes after a device-writable one")                 \
	X(INDIRECT_OFF, "descriptor {0} is indirect, but INDIRECT_DESC was not negotiated")                     \
	X(INDIRECT_NESTED, "descriptor {0} of an indirect table is indirect itself")                            \
	X(INDIRECT_NEXT, "descriptor {0} is indirect and linked to another one")                                \
	X(INDIRECT_SIZE, "an indirect table of {0} bytes is not one or more descriptors of 16")                 \
	X(LIST_PARTIAL, "descriptor {0} continues a list, but is not available itself")                         \
	X(RING_FULL, "a list of {0} or more descriptors was made available, but only {1} were free")            \
	X(ADDRESS, "address {0x} with {1} bytes is outside the memory that was shared")                         \
	X(RIGHTS, "address {0x} with {1} bytes may not be used that way")                                       \
	/* found by the driver end: the device broke a rule */                                                  \
	X(USED_JUMP, "used index moved from {0} to {1}, but only {2} buffers are outstanding")                  \
	X(USED_RANGE, "used entry names buffer {0}, but the queue has {1}")                                     \
	X(USED_IDLE, "used entry names buffer {0}, which is not with the device")                               \
	X(USED_LEN, "used entry for buffer {0} says {1} bytes written, but it has room for {2}")                \
	/* found by a device or a bus */                                                                        \
	X(FEATURES_UNOFFERED, "driver accepted feature bits {0x} that were never offered")                      \
	X(FEATURES_NEED, "feature bit {0} was accepted without bit {1}, which it needs")                        \
	X(FEATURES_REFUSED, "feature bits {0x} were refused by the device")                                     \
	X(FEATURES_FROZEN, "features were changed to {0x} after FEATURES_OK")                                   \
	X(STATUS_CLEARED, "status bits {0x} were cleared without a reset (status {1x})")                        \
	X(STATUS_ORDER, "status {0x} was set before {1x}")                                                      \
	X(CONFIG_RANGE, "configuration access of {1} bytes at {0} is outside its {2} bytes")                    \
	X(CONFIG_READONLY, "configuration write of {1} bytes at {0} touches a read-only field")                 \
	X(QUEUE_RANGE, "queue {0} does not exist (the device has {1})")                                         \
	X(QUEUE_SIZE, "queue {0} can't have {1} entries (at most {2})")                                         \
	X(QUEUE_MEMORY, "part {1} of queue {0} is not inside shared memory or not aligned (address {2x})")      \
	X(QUEUE_POSITION, "queue {0} can't start at available {1} and used {2}")                                \
	X(QUEUE_READY, "queue {0} was changed while it was in use")                                             \
	X(QUEUE_LOST, "queue {0} could not be set up again: error {1}")                                         \
	X(NEEDS_RESET, "the device asks to be reset (status {0x})")                                             \
	X(START_FAILED, "the device could not start: error {0}")                                                \
	X(SUSPEND_FAILED, "the device could not suspend or resume: error {0}")                                  \
	/* found by the vhost-user transport */                                                                 \
	X(VU_VERSION, "vhost-user request {0} has flags {1x}: not version 1")                                   \
	X(VU_REQUEST, "vhost-user request {0} is unknown")                                                      \
	X(VU_SIZE, "vhost-user request {0} has {1} bytes of payload, which does not fit it")                    \
	X(VU_FDS, "vhost-user request {0} came with {1} file descriptors, expected {2}")                        \
	X(VU_UNNEGOTIATED, "vhost-user request {0} needs protocol feature {1}, which was not negotiated")       \
	X(VU_PROTOCOL_FEATURES, "vhost-user protocol features {0x} were not offered or do not go together")     \
	X(VU_ORDER, "vhost-user request {0} came too early or too late")                                        \
	X(VU_VALUE, "vhost-user request {0} carries the impossible value {1x}")                                 \
	X(VU_REGION, "memory region {0} ({1x}, {2} bytes) overlaps another one or can't be mapped")             \
	X(VU_REGION_SHRUNK, "shared memory at {0x} disappeared: its owner made the file shorter")               \
	X(VU_INFLIGHT, "in-flight region of queue {0}: field {1} holds the impossible value {2}")               \
	X(VU_TRUNCATED, "the front end closed the connection inside a message ({0} of {1} bytes)")              \
	X(VU_ANSWER, "vhost-user request {0} was answered with {1}")                                            \
	X(VU_REFUSED, "the back end refused vhost-user request {0} (it answered {1})")                          \
	X(VU_IO, "the connection failed with error {0}")                                                        \
	/* found by rpmsg */                                                                                    \
	X(RPMSG_RUNT, "message of {0} bytes is shorter than its header of 16")                                  \
	X(RPMSG_LENGTH, "message claims {0} bytes of payload, but {1} arrived")                                 \
	X(RPMSG_SHAPE, "queue {0} holds a buffer with {1} readable and {2} writable bytes")                     \
	X(RPMSG_NS_SIZE, "name service message of {0} bytes, expected 40")                                      \
	X(RPMSG_NS_NAME, "name service message from {0x} has no name")                                          \
	X(RPMSG_NS_FLAGS, "name service message has flags {0x}")                                                \
	X(RPMSG_NS_EXISTS, "channel to address {0x} was announced twice")                                       \
	X(RPMSG_NS_UNKNOWN, "channel to address {0x} was destroyed, but does not exist")                        \
	X(RPMSG_NS_FULL, "channel to address {0x} was announced, but all {1} places are taken")                 \
	X(RPMSG_NO_ENDPOINT, "message from {0x} to {1x}, where nobody listens")                                 \
	X(RPMSG_BUFFER_SIZE, "device asks for buffers of {0} bytes; they can have 17 to {1}")
/* clang-format on */

enum vd_fault_code {
#define VD_FAULT_ENUM(name, text) VD_FAULT_##name,
	VD_FAULT_TABLE(VD_FAULT_ENUM)
#undef VD_FAULT_ENUM
		VD_FAULT_COUNT
};

struct vd_fault {
	enum vd_fault_code code;
	uint64_t value[3];
};

/* The name of a code as the table above spells it: "AVAIL_JUMP". "?" for a number that is none. */
const char *vd_fault_name(enum vd_fault_code code);

/*
 * Write the fault in words to @text, at most @size bytes with the final NUL (@size 0 writes
 * nothing). Returns the length of the whole text, as snprintf() does. Any context.
 */
size_t vd_fault_text(const struct vd_fault *fault, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* VIADUCT_FAULT_H */
