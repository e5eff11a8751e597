/* replica/serve/stage_slot.h - how many packs are on their way to one voter at a time.
 * Thread: loop.
 *
 * A pack on its way takes STAGE_SLOT_BYTES of memory at most, at the sender and at the receiver.
 * Every other node of the map has an equal share of the budget, at least one slot, and no part in the
 * others' shares: a voter that reads slowly, or not at all, fills its own slots and nobody else's.
 *
 * A send whose push is decided lingers: it goes on, since most of it is there, in at most half of
 * the voter's slots.  Beyond these the one with most left to send is told to end; its voter fetches
 * the pack by its need.  So pushes under way find a slot, and an idle backlog is bounded. */
#ifndef REPLICA_SERVE_STAGE_SLOT_H
#define REPLICA_SERVE_STAGE_SLOT_H

#include <stdint.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/net/loop.h"

/* Sender: the stream's queue and one piece (file_send.h).  Receiver: a stream's window and one piece
 * (pack_recv.h), the larger of the two. */
#define STAGE_SLOT_BYTES (1536u * 1024)

struct stage_slots;
enum stage_slot_event {
	STAGE_SLOT_COME, /* the slot is there */
	STAGE_SLOT_END,  /* of one that lingers: give the slot back, inside this call */
};

/* Embedded in a send; zero it, set what stands above the line. */
struct stage_slot {
	uint32_t node;
	void (*on_event)(enum stage_slot_event, void *arg);
	uint64_t (*left)(void *arg); /* bytes it has still to send */
	void *arg;
	/* stage_slot.c's: */
	enum { STAGE_SLOT_NONE, STAGE_SLOT_WAITS, STAGE_SLOT_HAS, STAGE_SLOT_LINGERS } state;
	TAILQ_ENTRY(stage_slot) next;
};

struct stage_slots *stage_slots_new(struct loop *, uint64_t budget);
/* Those that linger get their END; nobody else is left. */
void stage_slots_free(struct stage_slots **);
/* How many other nodes there are, from now on; 1 at first. */
void stage_slots_set_peers(struct stage_slots *, unsigned peers);
unsigned stage_slots_each(const struct stage_slots *); /* of each other node */

/* true: the slot is taken.  Otherwise COME follows from the loop, first come first served. */
MUST_CHECK bool stage_slot_take(struct stage_slots *, struct stage_slot *);
/* It has a slot, and its push is decided.  END may come inside, for this one or another. */
void stage_slot_linger(struct stage_slots *, struct stage_slot *);
/* In any state. */
void stage_slot_give(struct stage_slots *, struct stage_slot *);

struct stage_slot_counts {
	unsigned sending, lingering, waiting;
};
void stage_slots_count(const struct stage_slots *, struct stage_slot_counts *);

#endif
