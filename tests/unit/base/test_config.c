/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"

struct options {
    bool enabled;
    int64_t port;
    double ratio;
    char target[16];
    int source;
    char key[16];
    char name[8];
    int64_t far;
};

static const char *const sources[] = {"sim", "binance", "replay", NULL};

#define MEMBER(member) offsetof(struct options, member)
static const struct config_field fields[] = {
    {.path = "enabled", .type = CONFIG_BOOL, .offset = MEMBER(enabled), .initial = "false"},
    {.path = "http.port",
     .type = CONFIG_I64,
     .offset = MEMBER(port),
     .minimum = 1,
     .maximum = 65535,
     .initial = "8080"},
    {.path = "ratio",
     .type = CONFIG_F64,
     .offset = MEMBER(ratio),
     .minimum = -1,
     .maximum = 1,
     .initial = "0.5"},
    {.path = "redis.target",
     .type = CONFIG_TEXT,
     .offset = MEMBER(target),
     .size = 16,
     .initial = "unix:/tmp/r"},
    {.path = "source",
     .type = CONFIG_CHOICE,
     .offset = MEMBER(source),
     .choices = sources,
     .initial = "sim"},
    {.path = "api.key",
     .type = CONFIG_SECRET,
     .offset = MEMBER(key),
     .size = 16,
     .secret_env = "BTCAST_TEST_KEY",
     .initial = ""},
    {.path = "name", .type = CONFIG_TEXT, .offset = MEMBER(name), .size = 8, .initial = "n"},
    {.path = "deep.er.far_us",
     .type = CONFIG_I64,
     .offset = MEMBER(far),
     .minimum = -9e18,
     .maximum = 9e18,
     .initial = "0"},
};
static const struct config_schema schema = {"testing", fields, 8, sizeof(struct options)};

static int parse(const char *yaml, struct options *options, struct err *err)
{
    return config_parse(&schema, "f.yaml", yaml, strlen(yaml), NULL, 0, options, err);
}

/* The whole message, so that file, line, column, key and both halves are all right. */
static void refuses(const char *yaml, const char *message)
{
    struct options options;
    struct err err = {0};
    assert_int_equal(parse(yaml, &options, &err), ERR_CONFIG);
    assert_string_equal(err.text, message);
}

static void refuses_with(const char *yaml, const char *part)
{
    struct options options;
    struct err err = {0};
    assert_int_equal(parse(yaml, &options, &err), ERR_CONFIG);
    if (strstr(err.text, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", err.text, part);
}

static void config_takes_defaults_when_the_file_is_empty(void **state)
{
    (void)state;
    static const char *const empty[] = {"", "\n", "# nothing\n", "---\n", "--- # x\n...\n", "{}"};
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        struct options options;
        struct err err = {0};
        assert_int_equal(parse(empty[i], &options, &err), ERR_OK);
        assert_false(options.enabled);
        assert_int_equal(options.port, 8080);
        assert_true(options.ratio == 0.5);
        assert_string_equal(options.target, "unix:/tmp/r");
        assert_int_equal(options.source, 0);
        assert_string_equal(options.key, "");
    }
}

static void config_reads_every_type(void **state)
{
    (void)state;
    struct options options;
    struct err err = {0};
    assert_int_equal(parse("service: testing\n"
                           "enabled: true\n"
                           "http:\n  port: 9090\n"
                           "ratio: -2.5e-1\n"
                           "redis: {target: \"h:1 # x\"}\n"
                           "source: 'replay'\n"
                           "api:\n  key: s3cret\n"
                           "name: ''\n"
                           "deep:\n  er:\n    far_us: -9000000000000000000\n",
                           &options, &err),
                     ERR_OK);
    assert_true(options.enabled);
    assert_int_equal(options.port, 9090);
    assert_true(options.ratio == -0.25);
    assert_string_equal(options.target, "h:1 # x");
    assert_int_equal(options.source, 2);
    assert_string_equal(options.key, "s3cret");
    assert_string_equal(options.name, "");
    assert_true(options.far == -9000000000000000000LL);
}

static void config_refuses_integers_that_others_read_differently(void **state)
{
    (void)state;
    static const char *const wrong[] = {"80x",  "1e3",  "0x50", "080",   "+80",
                                        "8_0",  "80.0", "0",    "65536", "-1",
                                        "true", "~",    "8 0",  "0b1",   "99999999999999999999",
                                        ".inf", "--5",  "-x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char yaml[80];
        char message[200];
        snprintf(yaml, sizeof(yaml), "http:\n  port: %s\n", wrong[i]);
        snprintf(message, sizeof(message),
                 "f.yaml:2:9: http.port: expected an integer 1..65535, found \"%s\"", wrong[i]);
        refuses(yaml, message);
    }
    refuses("http:\n  port: \"80\"\n",
            "f.yaml:2:9: http.port: expected an integer 1..65535, found \"80\" in quotes");
    refuses("http:\n  port:\n",
            "f.yaml:2:8: http.port: expected an integer 1..65535, found nothing");
}

static void config_refuses_wrong_numbers_truths_and_choices(void **state)
{
    (void)state;
    static const char *const wrong[] = {"1.5x", ".5",   "1.",    "1e",    "nan",  ".nan",
                                        "inf",  "1.01", "0x1p0", "1e400", "01.5", "-1.0001"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char yaml[64];
        snprintf(yaml, sizeof(yaml), "ratio: %s\n", wrong[i]);
        refuses_with(yaml, "f.yaml:1:8: ratio: expected a number -1..1, found \"");
    }
    refuses("enabled: yes\n", "f.yaml:1:10: enabled: expected true or false, found \"yes\"");
    refuses("enabled: \"true\"\n",
            "f.yaml:1:10: enabled: expected true or false, found \"true\" in quotes");
    refuses("source: Binance\n",
            "f.yaml:1:9: source: expected one of sim, binance, replay, found \"Binance\"");
    refuses("redis:\n  target: 0123456789abcdef\n",
            "f.yaml:2:11: redis.target: expected text of at most 15 bytes, found "
            "\"0123456789abcdef\"");
    refuses("name: \"a\\0b\"\n", "f.yaml:1:7: name: expected text of at most 7 bytes, found "
                                 "\"a\\u0000b\"");
}

static void config_names_the_nearest_key_for_an_unknown_one(void **state)
{
    (void)state;
    refuses("enabled: true\nredis:\n  taget: x\n",
            "f.yaml:3:3: redis.taget: expected a key of testing, found an unknown one; did you "
            "mean redis.target?");
    refuses("htpp:\n  port: 1\n",
            "f.yaml:1:1: htpp: expected a key of testing, found an unknown one; did you mean "
            "http?");
    refuses("servcie: testing\n",
            "f.yaml:1:1: servcie: expected a key of testing, found an unknown one; did you mean "
            "service?");
    refuses("zzzzzzzzzzzz: 1\n",
            "f.yaml:1:1: zzzzzzzzzzzz: expected a key of testing, found an unknown one");
}

static void config_refuses_a_key_that_comes_twice(void **state)
{
    (void)state;
    refuses("name: a\nenabled: true\nname: b\n",
            "f.yaml:3:1: name: expected each key once, found it again (first on line 1)");
    refuses("redis:\n  target: a\nredis:\n  target: b\n",
            "f.yaml:3:1: redis: expected each key once, found it again (first on line 1)");
    refuses("service: testing\nservice: testing\n",
            "f.yaml:2:1: service: expected each key once, found it again (first on line 1)");
}

static void config_refuses_what_it_does_not_understand(void **state)
{
    (void)state;
    refuses("service: other\n", "f.yaml:1:10: service: expected testing, found \"other\"");
    refuses("name: a\n---\nname: b\n", "f.yaml:2:1: expected one document, found another");
    refuses("name: [a]\n", "f.yaml:1:7: name: expected text of at most 7 bytes, found a list");
    refuses("name: {a: 1}\n",
            "f.yaml:1:7: name: expected text of at most 7 bytes, found a mapping");
    refuses("redis: 5\n",
            "f.yaml:1:1: redis: expected a mapping with keys like target, found a value");
    refuses("redis: [5]\n",
            "f.yaml:1:1: redis: expected a mapping with keys like target, found a value");
    refuses("- a\n", "f.yaml:1:1: expected a mapping of keys, found a list");
    refuses("hello\n", "f.yaml:1:1: expected a mapping of keys, found a single value");
    refuses_with("name: &a x\n", "f.yaml:1:7: expected a value, found an anchor");
    refuses_with("name: *a\n", "found an alias");
    refuses_with("name: !!str x\n", "f.yaml:1:7: expected a value, found a tag");
    refuses_with("? [a]\n: b\n", "expected a key");
    refuses_with("redis.target: x\n", "f.yaml:1:1: expected a key of letters");
    refuses_with("name: 'a\n", "f.yaml:2:1: not YAML: ");
    refuses_with("\tname: a\n", "f.yaml:1:1: not YAML: ");
    refuses_with("name: \xff\n", "f.yaml: byte 6: not YAML: ");
    refuses_with("deep:\n er:\n  far_us:\n   a: 1\n", "deep.er.far_us: expected an integer");
}

static void config_never_repeats_a_secret(void **state)
{
    (void)state;
    refuses("api:\n  key: 0123456789abcdef\n",
            "f.yaml:2:8: api.key: expected text of at most 15 bytes, found 16 bytes");
    struct options options;
    struct err err = {0};
    setenv("BTCAST_TEST_KEY", "hunter2-hunter2-hunter2", 1);
    assert_int_equal(parse("", &options, &err), ERR_CONFIG);
    assert_null(strstr(err.text, "hunter2"));
    assert_non_null(strstr(err.text, "BTCAST_TEST_KEY"));
    unsetenv("BTCAST_TEST_KEY");
}

static void config_prefers_overrides_to_the_file_and_the_environment_for_secrets(void **state)
{
    (void)state;
    static const char *const sets[] = {"http.port=1", "http.port=2", "name=", "redis.target=a=b"};
    static const char yaml[] = "http: {port: 3}\nname: file\napi: {key: file}\n";
    struct options options;
    struct err err = {0};
    setenv("BTCAST_TEST_KEY", "environment", 1);
    assert_int_equal(config_parse(&schema, "f", yaml, strlen(yaml), sets, 4, &options, &err),
                     ERR_OK);
    unsetenv("BTCAST_TEST_KEY");
    assert_int_equal(options.port, 2);
    assert_string_equal(options.name, "");
    assert_string_equal(options.target, "a=b");
    assert_string_equal(options.key, "environment");
}

static void refuses_override(const char *text, const char *message)
{
    struct options options;
    struct err err = {0};
    assert_int_equal(config_parse(&schema, "f", "", 0, &text, 1, &options, &err), ERR_CONFIG);
    assert_string_equal(err.text, message);
}

static void config_reports_wrong_overrides_by_their_key(void **state)
{
    (void)state;
    refuses_override("http.port=80x",
                     "--set http.port: expected an integer 1..65535, found \"80x\"");
    refuses_override("http.prot=80", "--set http.prot: expected a key of testing, found an unknown "
                                     "one; did you mean http.port?");
    refuses_override("http.port", "--set http.port: expected KEY=VALUE");
    refuses_override("=x", "--set =x: expected KEY=VALUE");
    refuses_override("http.port=", "--set http.port: expected an integer 1..65535, found empty "
                                   "quotes");
    refuses_override("api.key=abc",
                     "--set api.key: expected a secret from the environment (BTCAST_TEST_KEY) or "
                     "the file, since command lines are public");
}

static void config_wants_required_keys(void **state)
{
    (void)state;
    struct config_field required[2] = {fields[1], fields[5]};
    required[0].initial = NULL;
    required[1].initial = NULL;
    const struct config_schema strict = {"strict", required, 2, sizeof(struct options)};
    struct options options;
    struct err err = {0};
    assert_int_equal(config_load(&strict, NULL, NULL, 0, &options, &err), ERR_CONFIG);
    assert_string_equal(
        err.text, "strict: http.port: expected an integer 1..65535, found nothing (required)");
    const char *set = "http.port=5";
    assert_int_equal(config_load(&strict, NULL, &set, 1, &options, &err), ERR_CONFIG);
    assert_string_equal(err.text,
                        "strict: api.key: expected text of at most 15 bytes (or the "
                        "environment variable BTCAST_TEST_KEY), found nothing (required)");
    setenv("BTCAST_TEST_KEY", "k", 1);
    assert_int_equal(config_load(&strict, NULL, &set, 1, &options, &err), ERR_OK);
    unsetenv("BTCAST_TEST_KEY");
}

static void config_says_which_default_is_wrong(void **state)
{
    (void)state;
    struct config_field bad = fields[1];
    bad.initial = "0";
    const struct config_schema wrong = {"wrong", &bad, 1, sizeof(struct options)};
    struct options options;
    struct err err = {0};
    assert_int_equal(config_load(&wrong, NULL, NULL, 0, &options, &err), ERR_CONFIG);
    assert_string_equal(err.text, "default of wrong: http.port: expected an integer 1..65535, "
                                  "found \"0\"");
}

static void config_bounds_size_and_depth(void **state)
{
    (void)state;
    struct options options;
    struct err err = {0};
    char *large = malloc(CONFIG_FILE_MAX + 1);
    memset(large, '#', CONFIG_FILE_MAX + 1);
    assert_int_equal(
        config_parse(&schema, "f", large, CONFIG_FILE_MAX + 1, NULL, 0, &options, &err),
        ERR_CONFIG);
    assert_non_null(strstr(err.text, "larger than"));
    assert_int_equal(config_parse(&schema, "f", large, CONFIG_FILE_MAX, NULL, 0, &options, &err),
                     ERR_OK);
    memset(large, '{', CONFIG_FILE_MAX);
    assert_int_equal(config_parse(&schema, "f", large, CONFIG_FILE_MAX, NULL, 0, &options, &err),
                     ERR_CONFIG);
    free(large);
    char path[200] = "";
    memset(path, 'k', 150);
    memcpy(path + 150, ": 1", 4);
    refuses_with(path, "longer than any there is");
}

static void config_reads_files_and_says_when_it_cannot(void **state)
{
    (void)state;
    struct options options;
    struct err err = {0};
    assert_int_equal(config_load(&schema, "/nonexistent/x.yaml", NULL, 0, &options, &err),
                     ERR_CONFIG);
    assert_string_equal(err.text, "cannot read /nonexistent/x.yaml: No such file or directory");
    assert_int_equal(config_load(&schema, "/", NULL, 0, &options, &err), ERR_CONFIG);
    char path[] = "/tmp/btcast-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char yaml[] = "service: testing\napi:\n  key: abc\n";
    assert_int_equal(write(fd, yaml, sizeof(yaml) - 1), sizeof(yaml) - 1);
    close(fd);
    const char *key = NULL;
    assert_int_equal(config_load(&schema, path, NULL, 0, &options, &err), ERR_OK);
    assert_string_equal(options.key, "abc");
    assert_false(config_secret_exposed(&schema, path, &key));
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(config_secret_exposed(&schema, path, &key));
    assert_string_equal(key, "api.key");
    unlink(path);
}

static void config_peeks_at_the_service(void **state)
{
    (void)state;
    char service[16];
    struct err err = {0};
    static const char yaml[] = "x: {service: inner}\nservice: outer\ny: [}";
    static const char good[] = "x: {service: inner}\nservice: outer\n";
    assert_int_equal(config_peek_service("f", good, sizeof(good) - 1, service, 16, &err), ERR_OK);
    assert_string_equal(service, "outer");
    assert_int_equal(config_peek_service("f", yaml, sizeof(yaml) - 1, service, 16, &err),
                     ERR_CONFIG);
    assert_int_equal(config_peek_service("f", "a: 1", 4, service, 16, &err), ERR_OK);
    assert_string_equal(service, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_takes_defaults_when_the_file_is_empty),
        cmocka_unit_test(config_reads_every_type),
        cmocka_unit_test(config_refuses_integers_that_others_read_differently),
        cmocka_unit_test(config_refuses_wrong_numbers_truths_and_choices),
        cmocka_unit_test(config_names_the_nearest_key_for_an_unknown_one),
        cmocka_unit_test(config_refuses_a_key_that_comes_twice),
        cmocka_unit_test(config_refuses_what_it_does_not_understand),
        cmocka_unit_test(config_never_repeats_a_secret),
        cmocka_unit_test(config_prefers_overrides_to_the_file_and_the_environment_for_secrets),
        cmocka_unit_test(config_reports_wrong_overrides_by_their_key),
        cmocka_unit_test(config_wants_required_keys),
        cmocka_unit_test(config_says_which_default_is_wrong),
        cmocka_unit_test(config_bounds_size_and_depth),
        cmocka_unit_test(config_reads_files_and_says_when_it_cannot),
        cmocka_unit_test(config_peeks_at_the_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
