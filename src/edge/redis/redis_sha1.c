/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_sha1.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"

void redis_sha1(const char *source, char out[REDIS_SHA1_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int done = EVP_Digest(source, strlen(source), digest, &size, EVP_sha1(), NULL);
    CHECK(done == 1 && 2 * size + 1 == REDIS_SHA1_SIZE);
    text_hex(bytes_of(digest, size), out);
}
