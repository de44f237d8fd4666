// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * The sink at the tester's ends: counts the frames of the generator and drops them; sends probes
 * back; takes the time of answers. Other frames pass.
 *
 * As a tc program for switches whose frames arrive as socket buffers, as an XDP program for those
 * that send by XDP: an XDP program would have the former copied, and the latter would make socket
 * buffers only for tc to drop.
 */
#include "frame.h"

#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

/* Buckets of the histogram: 64 for each doubling, from 1 ns to 2^34 ns. Mirrored in histogram.rs. */
#define SUB_BITS 6
#define OCTAVES 28
#define BUCKETS ((OCTAVES + 1) << SUB_BITS)

const volatile struct end_system ends[ENDS];
const volatile __u16 port_dst; /* host byte order */

/* By the end that sent. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ENDS);
	__type(key, __u32);
	__type(value, struct tally);
} delivered SEC(".maps");

/* Probes by round-trip time. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BUCKETS);
	__type(key, __u32);
	__type(value, __u64);
} round_trips SEC(".maps");

enum verdict { FOREIGN, TAKEN, SEND_BACK };

static __always_inline int is_for(const struct frame *frame, const volatile struct end_system *end)
{
	return frame->dst[0] == end->mac[0] && frame->dst[1] == end->mac[1] &&
	       frame->dst[2] == end->mac[2];
}

static __always_inline __u32 bucket_of(__u64 ns)
{
	__u32 octave = 0;
	__u32 bucket;

	for (int bits = 32; bits; bits /= 2) {
		if (ns >> (octave + SUB_BITS) >= 1ull << bits)
			octave += bits;
	}
	if (ns >> (octave + SUB_BITS))
		octave += 1;
	/* The top bit of the shifted value is what the octave stands for, from the second one on. */
	bucket = octave ? (octave << SUB_BITS) + ((ns >> (octave - 1)) & ((1 << SUB_BITS) - 1)) : ns;
	return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static __always_inline void take_time(const struct mark *mark)
{
	__u32 bucket = bucket_of(bpf_ktime_get_ns() - sent(mark));
	__u64 *probes = bpf_map_lookup_elem(&round_trips, &bucket);

	if (probes)
		*probes += 1;
}

static __always_inline void swap(__u16 *a, __u16 *b)
{
	__u16 was = *a;

	*a = *b;
	*b = was;
}

/* Addresses change places, ports do not: an answer is known by its mark. Sums stay right. */
static __always_inline void turn(struct frame *frame)
{
	for (int i = 0; i < 3; i++)
		swap(&frame->dst[i], &frame->src[i]);
	for (int i = 0; i < 2; i++)
		swap(&frame->ip_dst[i], &frame->ip_src[i]);
	set_magic(&frame->mark, MARK_ANSWER);
}

static __always_inline enum verdict take(struct frame *frame, __u32 ifindex, __u64 bytes)
{
	__u32 at = ifindex == ends[A].ifindex ? A : B;
	__u32 from = !at;

	if (frame->ether_type != bpf_htons(ETH_P_IP) || !is_for(frame, &ends[at]) ||
	    frame->port_dst != (__be16)bpf_htons(port_dst))
		return FOREIGN;
	if (at == A && has_magic(&frame->mark, MARK_ANSWER)) {
		take_time(&frame->mark);
		return TAKEN;
	}
	count(bpf_map_lookup_elem(&delivered, &from), bytes);
	if (at == B && has_magic(&frame->mark, MARK_PROBE)) {
		turn(frame);
		return SEND_BACK;
	}
	return TAKEN;
}

SEC("classifier")
int sink_tc(struct __sk_buff *skb)
{
	struct frame *frame = (void *)(long)skb->data;

	if ((void *)(frame + 1) > (void *)(long)skb->data_end) {
		if (bpf_skb_pull_data(skb, sizeof(*frame)))
			return TC_ACT_OK;
		frame = (void *)(long)skb->data;
		if ((void *)(frame + 1) > (void *)(long)skb->data_end)
			return TC_ACT_OK;
	}
	switch (take(frame, skb->ifindex, skb->len)) {
	case FOREIGN:
		return TC_ACT_OK;
	case SEND_BACK:
		return bpf_redirect(skb->ifindex, 0);
	default:
		return TC_ACT_SHOT;
	}
}

SEC("xdp")
int sink_xdp(struct xdp_md *ctx)
{
	struct frame *frame = (void *)(long)ctx->data;
	__u64 bytes = ctx->data_end - ctx->data;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	switch (take(frame, ctx->ingress_ifindex, bytes)) {
	case FOREIGN:
		return XDP_PASS;
	case SEND_BACK:
		return XDP_TX;
	default:
		return XDP_DROP;
	}
}

char _license[] SEC("license") = "Dual MIT/GPL";
