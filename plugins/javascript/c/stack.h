/*
 * Included before each file of QuickJS. QuickJS watches its stack everywhere but on WASI, where it sets no limit: there a
 * program that calls itself without end would trap. The stack in memory can be watched there too, so WASI's name is
 * taken away once the headers that ask for it are read.
 */
#include <assert.h>
#include <errno.h>
#include <fenv.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#undef __wasi__
