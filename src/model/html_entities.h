/* html_entities.h: the named characters of HTML 4 ("amp", "eacute"). Called by the tweet normaliser. */
#ifndef RUNG_MODEL_HTML_ENTITIES_H
#define RUNG_MODEL_HTML_ENTITIES_H

#include <stddef.h>
#include <stdint.h>

/* The code point that &NAME; stands for, 0 when there is no such name. Case counts. */
uint32_t rung_html_entity(const char *name, size_t bytes);

#endif
