/* The name Redis gives a script: the SHA-1 of its text in hexadecimal. Apart from
 * redis_eval.c because OpenSSL's names collide with base/err.h.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_REDIS_REDIS_SHA1_H
#define BTCAST_EDGE_REDIS_REDIS_SHA1_H

#define REDIS_SHA1_SIZE 41

void redis_sha1(const char *source, char out[REDIS_SHA1_SIZE]);

#endif
