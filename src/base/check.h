/* Assertions that stay on in release: a broken invariant stops the process with
 * file, line and expression; the supervisor restarts it and Redis keeps the state.
 * Never for data from outside: that is judged and counted, not asserted.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BASE_CHECK_H
#define BTCAST_BASE_CHECK_H

#define CHECK(expression)                                                                          \
    ((expression) ? (void)0 : check_failed(__FILE__, __LINE__, __func__, #expression))
#define PRE(expression)  CHECK(expression)
#define POST(expression) CHECK(expression)

void check_failed(const char *file, int line, const char *function, const char *expression)
    __attribute__((noreturn, cold));

#endif
