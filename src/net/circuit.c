/* circuit.c: see circuit.h. The rule is that of the circuit breaker (M. Nygard, Release It!, 2007). */
#include "net/circuit.h"

#include <assert.h>

#define MOST_IN_A_ROW 5
#define WINDOW 20
#define FIRST_BACKOFF_S 0.025
#define LONGEST_BACKOFF_S 1.0

bool rung_circuit_allows(const rung_circuit *circuit)
{
    return circuit->state == RUNG_CIRCUIT_CLOSED || (circuit->state == RUNG_CIRCUIT_HALF_OPEN && !circuit->trial);
}

bool rung_circuit_enter(rung_circuit *circuit)
{
    assert(rung_circuit_allows(circuit));
    circuit->trial = circuit->state == RUNG_CIRCUIT_HALF_OPEN;
    return circuit->trial;
}

static void lengthen(rung_circuit *circuit)
{
    double doubled = circuit->backoff_s > 0 ? 2 * circuit->backoff_s : FIRST_BACKOFF_S;
    circuit->backoff_s = doubled < LONGEST_BACKOFF_S ? doubled : LONGEST_BACKOFF_S;
}

static uint32_t count_bits(uint32_t bits)
{
    return (uint32_t)__builtin_popcount(bits);
}

/* Closed: true when this was one failure too many. */
static bool note(rung_circuit *circuit, bool failed)
{
    circuit->in_a_row = failed ? circuit->in_a_row + 1 : 0;
    circuit->window = (circuit->window << 1 | (failed ? 1u : 0u)) & ((1u << WINDOW) - 1);
    circuit->window_length += circuit->window_length < WINDOW ? 1 : 0;
    return circuit->in_a_row >= MOST_IN_A_ROW ||
           (circuit->window_length == WINDOW && 2 * count_bits(circuit->window) > WINDOW);
}

bool rung_circuit_ended(rung_circuit *circuit, bool trial, bool failed)
{
    if (trial) {
        circuit->trial = false;
        if (!failed) {
            *circuit = (rung_circuit){.state = RUNG_CIRCUIT_CLOSED};
            return false;
        }
    } else if (circuit->state != RUNG_CIRCUIT_CLOSED || !note(circuit, failed)) {
        return false;
    }
    circuit->state = RUNG_CIRCUIT_OPEN;
    lengthen(circuit);
    return true;
}

void rung_circuit_left(rung_circuit *circuit, bool trial)
{
    if (trial) {
        circuit->trial = false;
    }
}

double rung_circuit_wait_s(const rung_circuit *circuit, rung_prng *prng)
{
    return circuit->backoff_s * (1 - rung_prng_uniform(prng) / 2);
}

void rung_circuit_looked(rung_circuit *circuit, bool well)
{
    assert(circuit->state == RUNG_CIRCUIT_OPEN);
    if (well) {
        circuit->state = RUNG_CIRCUIT_HALF_OPEN;
    } else {
        lengthen(circuit);
    }
}
