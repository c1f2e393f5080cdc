/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/file/sha256_hex.h"

#include <openssl/evp.h>
#include <stdint.h>

#include "base/check.h"
#include "base/text.h"

void sha256_hex(struct bytes data, char out[SHA256_HEX_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int done = EVP_Digest(data.data, data.size, digest, &size, EVP_sha256(), NULL);
    CHECK(done == 1 && 2 * size + 1 == SHA256_HEX_SIZE);
    text_hex(bytes_of(digest, size), out);
}
