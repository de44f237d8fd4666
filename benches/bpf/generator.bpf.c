// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * The generator: run over and over by BPF_PROG_TEST_RUN with live frames, each run either builds the
 * next frame and sends it by an end of the tester, or drops it because its time has not come.
 *
 * A frame arrives at the switch's end of the wire as if it had been received there. One that finds
 * the ring of the switch full is lost, and has been offered all the same: that is the switch's loss.
 *
 * One thread on one CPU runs this, so `position` needs no lock.
 */
#include "frame.h"

#define PATTERN 12

/* struct schedule: interval. Mirrored in tester/pacing.rs. */
#define FLAT_OUT 0ull
#define HALTED (~0ull)
/* Fractions of a nanosecond in `interval` and `due`. */
#define FRACTION_BITS 16
/* How far behind its schedule the generator may be and still catch up. */
#define CATCH_UP (100000ull << FRACTION_BITS)

const volatile struct end_system ends[ENDS];
const volatile __u16 port_dst; /* host byte order, as all settings */

/* When frames are sent. Written while the program runs. Mirrored in tester/bpf.rs. */
struct schedule {
	__u64 interval; /* between frames of all directions, ns << FRACTION_BITS */
	__u64 probe_interval_ns; /* 0: no probes */
};

/* What is sent: set before the program runs. Mirrored in tester/bpf.rs. */
struct traffic {
	__u32 flows; /* in each direction */
	__u32 directions; /* 1: from A; 2: from A and B in turn */
	__u16 bytes[PATTERN]; /* of the next frames, without check sequence */
};

/* Where the generator is in its sequence: all zero at first. Mirrored in tester/bpf.rs. */
struct position {
	__u64 origin_ns; /* of `due`; 0: not yet set */
	__u64 due; /* when the next frame may go, ns << FRACTION_BITS after the origin */
	__u64 probe_due_ns;
	__u32 from; /* the end that sends next */
	__u32 pad;
	struct {
		__u32 flow;
		__u32 step; /* in the pattern */
	} end[ENDS];
};

#define ONE(struct_name, map_name)                                                                 \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__type(value, struct struct_name);                                                 \
	} map_name SEC(".maps")

ONE(schedule, schedules);
ONE(traffic, traffics);
ONE(position, positions);

/* By the end that sent. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ENDS);
	__type(key, __u32);
	__type(value, struct tally);
} offered SEC(".maps");

/* Whether the next frame may go now; if so, when the one after it may. */
static __always_inline int take_token(struct position *at, const struct schedule *schedule,
				      __u64 now_ns)
{
	__u64 interval = schedule->interval;
	__u64 now;

	if (interval == FLAT_OUT)
		return 1;
	if (!at->origin_ns)
		at->origin_ns = now_ns;
	now = (now_ns - at->origin_ns) << FRACTION_BITS; /* 2^48 ns are three days */
	/* The schedule may have become faster since. */
	if (at->due > now + interval)
		at->due = now + interval;
	if (now < at->due)
		return 0;
	if (now - at->due > CATCH_UP)
		at->due = now - CATCH_UP;
	at->due += interval;
	return 1;
}

static __always_inline int probe_is_due(struct position *at, const struct schedule *schedule,
					__u64 now_ns)
{
	if (!schedule->probe_interval_ns || at->from != A || now_ns < at->probe_due_ns)
		return 0;
	at->probe_due_ns = now_ns + schedule->probe_interval_ns;
	return 1;
}

/* RFC 1071 over the header, of which all but length and addresses is known. */
static __always_inline __u16 header_sum(__u32 len, __u32 src, __u32 dst)
{
	__u32 sum = 0x4500 + len + 0x4000 + 0x4011;

	sum += (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return bpf_htons(~sum);
}

/* Writes all headers: a frame comes back from the switch in whatever state. */
static __always_inline void build(struct frame *frame, __u32 from, __u32 flow, __u32 bytes)
{
	const volatile struct end_system *source = &ends[from & 1];
	const volatile struct end_system *target = &ends[~from & 1];
	__u32 src = source->network + 1 + flow;
	__u32 dst = target->network + 1;

	for (int i = 0; i < 3; i++) {
		frame->dst[i] = target->mac[i];
		frame->src[i] = source->mac[i];
	}
	frame->ether_type = bpf_htons(ETH_P_IP);
	frame->version_ihl_tos = bpf_htons(0x4500);
	frame->total_len = bpf_htons(bytes - IP_OFFSET);
	frame->id = 0;
	frame->fragment = bpf_htons(0x4000); /* don't */
	frame->ttl_protocol = bpf_htons(64 << 8 | IPPROTO_UDP);
	frame->header_sum = header_sum(bytes - IP_OFFSET, src, dst);
	frame->ip_src[0] = bpf_htons(src >> 16);
	frame->ip_src[1] = bpf_htons(src);
	frame->ip_dst[0] = bpf_htons(dst >> 16);
	frame->ip_dst[1] = bpf_htons(dst);
	frame->port_src = bpf_htons(1024 + (flow & 0x7fff));
	frame->port_dst = bpf_htons(port_dst);
	frame->udp_len = bpf_htons(bytes - UDP_OFFSET);
	frame->udp_sum = 0;
	set_magic(&frame->mark, MARK_LOAD);
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u32 zero = 0;
	const struct schedule *schedule = bpf_map_lookup_elem(&schedules, &zero);
	const struct traffic *traffic = bpf_map_lookup_elem(&traffics, &zero);
	struct position *at = bpf_map_lookup_elem(&positions, &zero);
	struct frame *frame = (void *)(long)ctx->data;
	__u64 now_ns = 0;
	__u32 from, flow, step, bytes;

	if (!schedule || !traffic || !at || schedule->interval == HALTED)
		return XDP_DROP;
	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (schedule->interval != FLAT_OUT || schedule->probe_interval_ns)
		now_ns = bpf_ktime_get_ns();
	if (!take_token(at, schedule, now_ns))
		return XDP_DROP;

	from = at->from & 1;
	flow = at->end[from].flow;
	step = at->end[from].step;
	if (step >= PATTERN)
		step = 0;
	bytes = traffic->bytes[step];
	build(frame, from, flow, bytes);
	if (probe_is_due(at, schedule, now_ns)) {
		set_magic(&frame->mark, MARK_PROBE);
		set_sent(&frame->mark, bpf_ktime_get_ns());
	}
	at->end[from].flow = flow + 1 < traffic->flows ? flow + 1 : 0;
	at->end[from].step = step + 1;
	at->from = traffic->directions > 1 ? !from : A;

	if (bytes != ctx->data_end - ctx->data &&
	    bpf_xdp_adjust_tail(ctx, (int)bytes - (int)(ctx->data_end - ctx->data)))
		return XDP_ABORTED;
	count(bpf_map_lookup_elem(&offered, &from), bytes);
	return bpf_redirect(ends[from].ifindex, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
