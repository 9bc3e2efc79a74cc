/* circuit.h: whether an address of the next level is worth asking. It opens after failures, and closes after a trial that went well. Called by
 * upstream_addresses.c; pure: time comes in, and nothing is sent from here.
 *
 *     CLOSED ── 5 failures in a row, or more than half of the last 20 ──► OPEN ── it answers again ──► HALF_OPEN
 *        ▲                                                                ▲                              │
 *        └───────────────────────── the trial went well ──────────────────┼──────────────────────────────┤
 *                                                                         └──────── the trial failed ────┘
 */
#ifndef RUNG_NET_CIRCUIT_H
#define RUNG_NET_CIRCUIT_H

#include "base/prng.h"
#include "base/status.h"

typedef enum rung_circuit_state { RUNG_CIRCUIT_CLOSED, RUNG_CIRCUIT_OPEN, RUNG_CIRCUIT_HALF_OPEN } rung_circuit_state;

/* Zero-initialise. */
typedef struct rung_circuit {
    rung_circuit_state state;
    bool trial;             /* HALF_OPEN: a call is trying it */
    uint32_t in_a_row;      /* failures since the last success */
    uint32_t window;        /* a bit for each of the last calls, 1: failed */
    uint32_t window_length; /* how many they are */
    double backoff_s;       /* before the next look, without jitter; 0: closed */
} rung_circuit;

/* True when a call may go now. */
bool rung_circuit_allows(const rung_circuit *circuit);

/* A call goes: true when it is the trial. Its end is told with rung_circuit_ended or rung_circuit_left. Only where allowed. */
bool rung_circuit_enter(rung_circuit *circuit);

/* A call ended well or not. True when the circuit opened because of it: look again after rung_circuit_wait_s. What other calls than the trial bring
 * while the circuit is not closed began before it opened and says nothing new. */
bool rung_circuit_ended(rung_circuit *circuit, bool trial, bool failed);
/* A call was given up before it said anything of the address. */
void rung_circuit_left(rung_circuit *circuit, bool trial);

/* OPEN: seconds to wait before looking whether the address is back: 25 ms doubled from time to time up to 1 s, less up to half by chance, so that many
 * nodes do not look together. */
double rung_circuit_wait_s(const rung_circuit *circuit, rung_prng *prng);
/* OPEN: the look went well (a trial may go) or not. */
void rung_circuit_looked(rung_circuit *circuit, bool well);

#endif
