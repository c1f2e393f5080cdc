/* S3 servers for tests: tests/lib/strict_s3.py, which checks signatures and fails on demand, and
 * npm's s3rver, which is somebody else's. One at a time. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_TESTS_INTEGRATION_S3_FIXTURE_H
#define BTCAST_TESTS_INTEGRATION_S3_FIXTURE_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/http_fixture.h"
#include "tests/lib/temp_dir.h"

#define S3_FIXTURE_BUCKET "lake-1"
/* Of the strict one. */
#define S3_FIXTURE_KEY    "KEY"
#define S3_FIXTURE_SECRET "sec/ret+"

struct s3_fixture {
    pid_t server;
    int port;
    char folder[TEMP_DIR_SIZE]; /* of s3rver's objects */
    const char *modules;        /* of npm; NULL: not there */
};

/* Runs argv with its output in a pipe; *out is the reading end. */
static pid_t s3_fixture_spawn(char *const *argv, int *out)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        if (getppid() == parent)
            execvp(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    *out = ends[0];
    return pid;
}

static void s3_fixture_start_strict(struct s3_fixture *s3)
{
    int out;
    char line[32] = "";
    char *argv[] = {"/usr/bin/python3", BTCAST_SOURCE_DIR "/tests/lib/strict_s3.py",
                    S3_FIXTURE_BUCKET,  S3_FIXTURE_KEY,
                    S3_FIXTURE_SECRET,  NULL};
    s3->server = s3_fixture_spawn(argv, &out);
    FILE *words = fdopen(out, "r");
    assert_non_null(fgets(line, sizeof(line), words));
    fclose(words);
    s3->port = atoi(line);
    assert_true(s3->port > 0);
}

static void s3_fixture_start_s3rver(struct s3_fixture *s3)
{
    char program[512], port[8], data[TEMP_DIR_SIZE + 8];
    int out;
    if (s3->port == 0)
        s3->port = temp_port(); /* the same one when it comes back */
    snprintf(program, sizeof(program), "%s/s3rver/bin/s3rver.js", s3->modules);
    snprintf(port, sizeof(port), "%d", s3->port);
    snprintf(data, sizeof(data), "%s/s3", s3->folder);
    char *argv[] = {"node",
                    program,
                    "-s",
                    "-d",
                    data,
                    "-a",
                    "127.0.0.1",
                    "-p",
                    port,
                    "--configure-bucket",
                    S3_FIXTURE_BUCKET,
                    NULL};
    /* Its page tokens use a cipher that OpenSSL 3 calls legacy. */
    setenv("NODE_OPTIONS", "--openssl-legacy-provider", 1);
    s3->server = s3_fixture_spawn(argv, &out);
    close(out);
    for (int i = 0; i < 4000; i++) {
        int fd = http_fixture_connect(s3->port);
        if (fd >= 0) {
            close(fd);
            return;
        }
        assert_int_equal(waitpid(s3->server, NULL, WNOHANG), 0);
        usleep(5000);
    }
    fail_msg("s3rver does not listen");
}

static void s3_fixture_stop(struct s3_fixture *s3)
{
    kill(s3->server, SIGKILL);
    waitpid(s3->server, NULL, 0);
}

/* False: npm cannot fetch it. */
static bool s3_fixture_find_s3rver(struct s3_fixture *s3)
{
    static char line[400];
    FILE *words = popen(BTCAST_SOURCE_DIR "/tools/npm_peers.sh s3rver@3.7.1 2>/dev/null", "r");
    if (words == NULL || fgets(line, sizeof(line), words) == NULL)
        line[0] = '\0';
    if (words != NULL)
        pclose(words);
    line[strcspn(line, "\n")] = '\0';
    s3->modules = line[0] == '/' ? line : NULL;
    return s3->modules != NULL;
}

#endif
