/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * A frame of the tester, as the generator builds and the sink knows it:
 *
 *   Ethernet 14 | IPv4 20, no options | UDP 8, no checksum | struct mark 12 | zeros
 *
 * All but one in some thousands are load and have no mark. A probe tells when it was sent; the far
 * end of the tester sends it back as an answer, and the near end looks at the clock.
 */
#ifndef FRAME_H
#define FRAME_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Ends of the tester. Mirrored in wires.rs. */
enum { A, B, ENDS };

/* struct mark: magic, in the order of the wire. */
#define MARK_LOAD 0
#define MARK_PROBE 0x77667470 /* wftp */
#define MARK_ANSWER 0x77667461 /* wfta */

/* An end system behind an end of the tester. Mirrored in tester/bpf.rs. */
struct end_system {
	__u32 ifindex; /* of the tester's end */
	__u32 network; /* host byte order; 24 bits of host */
	__u16 mac[3]; /* as on the wire */
	__u16 pad;
};

/* Halves of four and eight bytes: nothing in a frame is aligned to more than two. */
struct mark {
	__u16 magic[2];
	__u16 sent_ns[4]; /* CLOCK_MONOTONIC, in the order of the machine */
};

struct frame {
	__u16 dst[3];
	__u16 src[3];
	__be16 ether_type;
	/* IPv4, RFC 791 */
	__be16 version_ihl_tos;
	__be16 total_len;
	__be16 id;
	__be16 fragment;
	__be16 ttl_protocol;
	__u16 header_sum;
	__be16 ip_src[2];
	__be16 ip_dst[2];
	/* UDP, RFC 768 */
	__be16 port_src;
	__be16 port_dst;
	__be16 udp_len;
	__be16 udp_sum;
	struct mark mark;
};

#define IP_OFFSET __builtin_offsetof(struct frame, version_ihl_tos)
#define UDP_OFFSET __builtin_offsetof(struct frame, port_src)

_Static_assert(IP_OFFSET == 14 && UDP_OFFSET == 34, "headers without padding");
_Static_assert(sizeof(struct frame) <= 60, "the shortest frame has room for a mark");

static __always_inline void set_magic(struct mark *mark, __u32 magic)
{
	mark->magic[0] = bpf_htons(magic >> 16);
	mark->magic[1] = bpf_htons(magic);
}

static __always_inline int has_magic(const struct mark *mark, __u32 magic)
{
	return mark->magic[0] == (__u16)bpf_htons(magic >> 16) &&
	       mark->magic[1] == (__u16)bpf_htons(magic);
}

static __always_inline void set_sent(struct mark *mark, __u64 ns)
{
	for (int i = 0; i < 4; i++)
		mark->sent_ns[i] = ns >> (16 * i);
}

static __always_inline __u64 sent(const struct mark *mark)
{
	__u64 ns = 0;

	for (int i = 0; i < 4; i++)
		ns |= (__u64)mark->sent_ns[i] << (16 * i);
	return ns;
}

/* Frames and their bytes, without check sequence. Mirrored in tester/bpf.rs. */
struct tally {
	__u64 frames;
	__u64 bytes;
};

static __always_inline void count(struct tally *tally, __u64 bytes)
{
	if (!tally)
		return;
	tally->frames += 1; /* per CPU, and not preempted in between */
	tally->bytes += bytes;
}

#endif
