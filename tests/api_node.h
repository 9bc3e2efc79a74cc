/* api_node.h: one node for all cases of a test program, the top level of the fixture's cascade, and what it answered last. For the tests of one API each. */
#ifndef RUNG_TESTS_API_NODE_H
#define RUNG_TESTS_API_NODE_H

#include "api_scene.h"

static served node;
static heard answer;

static inline int start_node(void **state)
{
    if (make_files(state) != 0) {
        return 1;
    }
    start(&node, "2", NULL, NULL);
    return 0;
}

static inline int stop_node(void **state)
{
    stop(&node);
    return remove_files(state);
}

#endif
