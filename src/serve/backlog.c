/* backlog.c: see backlog.h. */
#include "serve/backlog.h"

#include <math.h>

static bool is_before(const rung_errand *a, const rung_errand *b)
{
    return a->due_s < b->due_s || (a->due_s == b->due_s && a->order < b->order);
}

/* Either may be NULL. `next` links the children of one errand. */
static rung_errand *meld(rung_errand *a, rung_errand *b)
{
    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    rung_errand *first = is_before(a, b) ? a : b;
    rung_errand *second = first == a ? b : a;
    second->next = first->children;
    first->children = second;
    return first;
}

/* Two passes: in pairs from the left, then all from the right. */
static rung_errand *meld_all(rung_errand *children)
{
    rung_errand *pairs = NULL;
    while (children != NULL) {
        rung_errand *a = children;
        rung_errand *b = a->next;
        children = b != NULL ? b->next : NULL;
        a->next = NULL;
        if (b != NULL) {
            b->next = NULL;
        }
        rung_errand *pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    rung_errand *root = NULL;
    while (pairs != NULL) {
        rung_errand *next = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void rung_backlog_push(rung_backlog *backlog, rung_errand *errand, double work_s)
{
    errand->due_s = fmin(errand->deadline_s, errand->queued_s + RUNG_BACKLOG_STRETCH * work_s);
    backlog->since_s = backlog->root == NULL ? errand->queued_s : backlog->since_s;
    errand->order = backlog->pushed++;
    errand->next = NULL;
    errand->children = NULL;
    backlog->root = meld(backlog->root, errand);
    backlog->count++;
    backlog->cost_bytes += errand->cost_bytes;
}

rung_errand *rung_backlog_first(const rung_backlog *backlog)
{
    return backlog->root;
}

rung_errand *rung_backlog_pop(rung_backlog *backlog)
{
    rung_errand *first = backlog->root;
    if (first != NULL) {
        backlog->root = meld_all(first->children);
        first->children = NULL;
        backlog->count--;
        backlog->cost_bytes -= first->cost_bytes;
    }
    return first;
}
