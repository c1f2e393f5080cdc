/* Signatures against the examples in AWS' documentation ("Signature Calculations for the
 * Authorization Header", and the general test suite's get-vanilla), and against botocore.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/prng.h"
#include "edge/file/sha256_hex.h"
#include "edge/s3/sigv4.h"
#include "tests/lib/temp_dir.h"

#define S3_HOST "examplebucket.s3.amazonaws.com"
#define S3_TIME "20130524T000000Z"

static void assert_signature(const struct sigv4_request *request, const char *names,
                             const char *signature)
{
    char header[SIGV4_AUTHORIZATION_SIZE], wanted[SIGV4_AUTHORIZATION_SIZE];
    assert_true(sigv4_authorize(request, header));
    snprintf(wanted, sizeof(wanted),
             "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request, SignedHeaders=%s, "
             "Signature=%s",
             request->key_id, request->time, request->region, request->service, names, signature);
    assert_string_equal(header, wanted);
}

static struct sigv4_request s3_example(const char *method, const char *path, const char *query,
                                       const struct sigv4_pair *headers, int count)
{
    return (struct sigv4_request){.method = method,
                                  .path = path,
                                  .query = query,
                                  .headers = headers,
                                  .header_count = count,
                                  .payload_sha256 = SIGV4_EMPTY_SHA256,
                                  .time = S3_TIME,
                                  .region = "us-east-1",
                                  .service = "s3",
                                  .key_id = "AKIAIOSFODNN7EXAMPLE",
                                  .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
}

static void the_published_s3_examples_come_out(void **state)
{
    (void)state;
    const struct sigv4_pair get[] = {{"x-amz-date", S3_TIME},
                                     {"host", S3_HOST},
                                     {"range", "bytes=0-9"},
                                     {"x-amz-content-sha256", SIGV4_EMPTY_SHA256}};
    struct sigv4_request request = s3_example("GET", "/test.txt", "", get, 4);
    assert_signature(&request, "host;range;x-amz-content-sha256;x-amz-date",
                     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    char payload[SHA256_HEX_SIZE];
    sha256_hex(BYTES_LITERAL("Welcome to Amazon S3."), payload);
    const struct sigv4_pair put[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                     {"host", S3_HOST},
                                     {"x-amz-content-sha256", payload},
                                     {"x-amz-date", S3_TIME},
                                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    char path_buffer[64];
    struct text path = text_begin(path_buffer, sizeof(path_buffer));
    sigv4_encode(&path, "/test$file.text", true);
    request = s3_example("PUT", text_end(&path), "", put, 5);
    request.payload_sha256 = payload;
    assert_signature(&request, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    const struct sigv4_pair plain[] = {
        {"host", S3_HOST}, {"x-amz-content-sha256", SIGV4_EMPTY_SHA256}, {"x-amz-date", S3_TIME}};
    request = s3_example("GET", "/", "lifecycle=", plain, 3);
    assert_signature(&request, "host;x-amz-content-sha256;x-amz-date",
                     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    char query_buffer[64];
    struct text query = text_begin(query_buffer, sizeof(query_buffer));
    const struct sigv4_pair pairs[] = {{"prefix", "J"}, {"max-keys", "2"}};
    sigv4_query(&query, pairs, 2);
    request = s3_example("GET", "/", text_end(&query), plain, 3);
    assert_signature(&request, "host;x-amz-content-sha256;x-amz-date",
                     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void the_general_suite_s_first_vector_comes_out(void **state)
{
    (void)state;
    const struct sigv4_pair headers[] = {{"host", "example.amazonaws.com"},
                                         {"x-amz-date", "20150830T123600Z"}};
    struct sigv4_request request = {.method = "GET",
                                    .path = "/",
                                    .query = "",
                                    .headers = headers,
                                    .header_count = 2,
                                    .payload_sha256 = SIGV4_EMPTY_SHA256,
                                    .time = "20150830T123600Z",
                                    .region = "us-east-1",
                                    .service = "service",
                                    .key_id = "AKIDEXAMPLE",
                                    .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
    assert_signature(&request, "host;x-amz-date",
                     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

static void times_queries_and_limits(void **state)
{
    (void)state;
    char time[SIGV4_TIME_SIZE], buffer[128];
    sigv4_time(1369353600000000LL, time);
    assert_string_equal(time, S3_TIME);
    struct text out = text_begin(buffer, sizeof(buffer));
    /* Sorted as encoded: '%' comes before letters, "a" before "a-". */
    const struct sigv4_pair pairs[] = {
        {"b", "2"}, {"a-", "1"}, {"a", "z"}, {"a", "A/ \xc3\xa4~"}, {"\xc3\xa4", ""}};
    sigv4_query(&out, pairs, 5);
    assert_string_equal(text_end(&out), "%C3%A4=&a=A%2F%20%C3%A4~&a=z&a-=1&b=2");
    static char long_path[9000];
    memset(long_path, 'x', sizeof(long_path) - 1);
    char header[SIGV4_AUTHORIZATION_SIZE];
    struct sigv4_request request = s3_example("GET", long_path, "", NULL, 0);
    assert_false(sigv4_authorize(&request, header));
}

/* Random requests. */

#define REQUESTS 200

static void random_text(struct prng *prng, const char *alphabet, size_t most, char *out)
{
    size_t size = 1 + prng_below(prng, most), letters = strlen(alphabet);
    for (size_t i = 0; i < size; i++)
        out[i] = alphabet[prng_below(prng, letters)];
    out[size] = '\0';
}

static void one_request(struct prng *prng, FILE *questions, char *header)
{
    static const char *const methods[] = {"GET", "PUT", "POST", "DELETE", "HEAD"};
    const char *letters = "abcXYZ019-._~=/+ %&\xc3\xa4";
    char path_buffer[1024], query_buffer[2048], key[80], sha256[SHA256_HEX_SIZE], url[4096];
    char names[4][24], values[4][48], time[SIGV4_TIME_SIZE], token[40] = "";
    struct sigv4_pair pairs[4];
    struct text path = text_begin(path_buffer, sizeof(path_buffer));
    struct text query = text_begin(query_buffer, sizeof(query_buffer));
    random_text(prng, "abcXYZ019-._~=/+ %&", 60, key);
    text_add(&path, "/bucket/k");
    sigv4_encode(&path, key, true);
    int count = (int)prng_below(prng, 5);
    for (int i = 0; i < count; i++) {
        random_text(prng, letters, 20, names[i]);
        random_text(prng, letters, 40, values[i]);
        pairs[i] = (struct sigv4_pair){names[i], values[i]};
    }
    sigv4_query(&query, pairs, count);
    sha256_hex(bytes_text(key), sha256);
    sigv4_time((int64_t)(1500000000 + prng_below(prng, 400000000)) * 1000000, time);
    if (prng_below(prng, 2) == 1)
        random_text(prng, "abcABC0123456789+/=", 30, token);
    const char *method = methods[prng_below(prng, 5)];
    snprintf(url, sizeof(url), "http://s3.test:9000%s%s%s", text_end(&path),
             query.size > 0 ? "?" : "", text_end(&query));
    fprintf(questions, "%s\t%s\t%s\t%s\t%s\n", method, url, sha256, time,
            token[0] != '\0' ? token : "-");
    const struct sigv4_pair headers[] = {{"x-amz-security-token", token},
                                         {"x-amz-date", time},
                                         {"x-amz-content-sha256", sha256},
                                         {"host", "s3.test:9000"}};
    int first = token[0] != '\0' ? 0 : 1;
    struct sigv4_request request = {.method = method,
                                    .path = path_buffer,
                                    .query = query_buffer,
                                    .headers = headers + first,
                                    .header_count = 4 - first,
                                    .payload_sha256 = sha256,
                                    .time = time,
                                    .region = "eu-central-1",
                                    .service = "s3",
                                    .key_id = "AKIDEXAMPLE",
                                    .secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
    assert_true(sigv4_authorize(&request, header));
}

static void botocore_signs_the_same(void **state)
{
    (void)state;
    static char ours[REQUESTS][SIGV4_AUTHORIZATION_SIZE];
    char folder[TEMP_DIR_SIZE], path[TEMP_DIR_SIZE + 16], command[400], theirs[1024];
    struct prng prng;
    prng_init(&prng, 11);
    temp_dir_make(folder);
    snprintf(path, sizeof(path), "%s/questions", folder);
    FILE *questions = fopen(path, "we");
    assert_non_null(questions);
    for (int i = 0; i < REQUESTS; i++)
        one_request(&prng, questions, ours[i]);
    assert_int_equal(fclose(questions), 0);
    snprintf(command, sizeof(command), "/usr/bin/python3 %s/tests/lib/botocore_sign.py < %s",
             BTCAST_SOURCE_DIR, path);
    FILE *answers = popen(command, "re");
    assert_non_null(answers);
    int same = 0;
    while (same < REQUESTS && fgets(theirs, sizeof(theirs), answers) != NULL) {
        theirs[strcspn(theirs, "\n")] = '\0';
        assert_string_equal(theirs, ours[same++]);
    }
    int status = pclose(answers);
    temp_dir_remove(folder);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("SKIPPED: no botocore to compare with (package python3-botocore)\n");
        skip();
    }
    assert_int_equal(same, REQUESTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_s3_examples_come_out),
        cmocka_unit_test(the_general_suite_s_first_vector_comes_out),
        cmocka_unit_test(times_queries_and_limits),
        cmocka_unit_test(botocore_signs_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
