/* ticket_parts.h: what the files of a ticket (ticket.c, ticket_call.c, ticket_open.c) need of each other. For them alone. */
#ifndef RUNG_SERVE_TICKET_PARTS_H
#define RUNG_SERVE_TICKET_PARTS_H

#include "serve/ticket.h"

/* ticket.c */

/* Does what the state machine of the errand asks for. */
void rung_ticket_advance(rung_errand *errand, unsigned actions);
/* Answers with an error and stops what the errands still do. The ticket may be gone afterwards, unless it is pinned. */
void rung_ticket_fail(rung_ticket *ticket, rung_fault fault, rung_outcome outcome, const char *message);
/* A timer's: what is known by now is the answer. */
void rung_ticket_deadline_passed(rung_timer *timer);
void rung_ticket_unpin(rung_ticket *ticket);
/* Gives everything back, when it is answered, no worker holds an errand of it any more, and nobody walks over its errands. */
void rung_ticket_close_when_free(rung_ticket *ticket);

/* ticket_call.c */

/* Asks the next level; returns what else is to be done when it cannot be asked. */
unsigned rung_ticket_send_up(rung_errand *errand);
/* The errand is still computed, and what it has found so far goes up. */
void rung_ticket_send_ahead(rung_errand *errand);
/* The machine learns how the call ended. lost: why, or RUNG_DEGRADED_NO for a reply. */
void rung_ticket_settle(rung_errand *errand, rung_degraded lost, const rung_call_result *result);
void rung_ticket_drop_call(rung_errand *errand);

#endif
