/* Copies of whole trees, for the driver without overlayfs: links, owners, times, attributes, holes.
 */
#ifndef GANTRY_LAYER_COPY_TREE_H
#define GANTRY_LAYER_COPY_TREE_H

#include "common/err.h"

/* Copies what is in directory `from` into the empty directory `to`, and its attributes. Borrowed.
 */
int copy_tree(int from, int to, struct err *err);

#endif
