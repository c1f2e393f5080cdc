/* `btcast decode [FILE…|-]`: frames and captures as JSON lines. A file holds one bare SBE
 * frame, or a btcast capture, of which any size is read through one window.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "services/cli/commands.h"
#include "services/service.h"
#include "wire/capture.h"
#include "wire/sbe_json.h"

/* Two of the largest records: after a refill a whole one is always there. */
#define DECODE_WINDOW ((size_t)2 * (RECORD_PAYLOAD_MAX + CAPTURE_OVERHEAD))
#define DECODE_TEXT   SBE_JSON_SIZE(RECORD_PAYLOAD_MAX)

struct decode_input {
    FILE *file;
    uint8_t *window;
    size_t from, to; /* unread bytes of the window */
    uint64_t base;   /* where the window begins in the file */
    bool ended;      /* nothing more to read */
    char *text;      /* DECODE_TEXT bytes */
    bool failed;     /* something malformed, unreadable or unwritable */
    bool unwritable; /* the reader of our output went away */
};

static void decode_print(struct decode_input *input, struct text *line, bool good)
{
    text_add_char(line, '\n');
    if (!good)
        input->failed = true;
    if (fwrite(line->at, 1, line->size, stdout) != line->size) {
        input->failed = true;
        input->unwritable = true;
    }
}

/* An object for damage of the file itself. */
static void decode_print_error(struct decode_input *input, const char *cause, uint64_t offset)
{
    struct text line = text_begin(input->text, DECODE_TEXT);
    text_add_format(&line, "{\"error\":\"%s at byte %llu\",\"cause\":\"%s\",\"offset\":%llu}",
                    cause, (unsigned long long)offset, cause, (unsigned long long)offset);
    decode_print(input, &line, false);
}

static struct bytes decode_unread(const struct decode_input *input)
{
    return bytes_of(input->window + input->from, input->to - input->from);
}

static uint64_t decode_offset(const struct decode_input *input)
{
    return input->base + input->from;
}

/* Moves the unread bytes to the front and fills the rest. */
static void decode_refill(struct decode_input *input)
{
    size_t left = input->to - input->from;
    memmove(input->window, input->window + input->from, left);
    input->base += input->from;
    input->from = 0;
    size_t got = fread(input->window + left, 1, DECODE_WINDOW - left, input->file);
    input->to = left + got;
    input->ended = input->to < DECODE_WINDOW;
    if (ferror(input->file)) {
        fprintf(stderr, "btcast decode: cannot read: %s\n", strerror(errno));
        input->failed = true;
    }
}

static void decode_frame(struct decode_input *input)
{
    struct bytes data = decode_unread(input);
    if (data.size > RECORD_PAYLOAD_MAX) {
        decode_print_error(input, "neither a capture nor a frame: too long", RECORD_PAYLOAD_MAX);
        return;
    }
    struct text line = text_begin(input->text, DECODE_TEXT);
    bool good = sbe_json_write(&line, data);
    decode_print(input, &line, good);
}

/* One step through a capture; false at its end. */
static bool decode_capture_step(struct decode_input *input)
{
    struct record record;
    size_t size = 0;
    int rv = capture_read_record(decode_unread(input), &record, &size);
    if (rv == ERR_EMPTY && !input->ended) {
        decode_refill(input);
        return true;
    }
    if (rv == ERR_EMPTY) {
        if (decode_unread(input).size > 0)
            decode_print_error(input, "the capture ends inside a record", decode_offset(input));
        return false;
    }
    if (rv == ERR_OK) {
        struct text line = text_begin(input->text, DECODE_TEXT);
        bool good = sbe_json_write_record(&line, &record);
        decode_print(input, &line, good);
    } else {
        decode_print_error(input, "damaged record", decode_offset(input));
    }
    input->from += size;
    return !input->unwritable;
}

static void decode_capture(struct decode_input *input)
{
    struct capture_header header;
    struct err err = {0};
    int rv = capture_read_header(decode_unread(input), &header, &err);
    if (rv != ERR_OK)
        decode_print_error(input, err.text, 0);
    /* Records have CRCs of their own: a damaged file head costs none of them. */
    size_t size = decode_unread(input).size;
    input->from += size < CAPTURE_HEADER_SIZE ? size : CAPTURE_HEADER_SIZE;
    while (decode_capture_step(input))
        continue;
}

static void decode_file(struct decode_input *input)
{
    input->from = 0;
    input->to = 0;
    input->base = 0;
    decode_refill(input);
    struct bytes data = decode_unread(input);
    size_t magic = sizeof(CAPTURE_MAGIC) - 1;
    if (data.size >= magic && memcmp(data.data, CAPTURE_MAGIC, magic) == 0)
        decode_capture(input);
    else
        decode_frame(input);
}

static void decode_path(struct decode_input *input, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    input->file = standard ? stdin : fopen(path, "rb");
    if (input->file == NULL) {
        fprintf(stderr, "btcast decode: %s: %s\n", path, strerror(errno));
        input->failed = true;
        return;
    }
    decode_file(input);
    if (!standard)
        fclose(input->file);
}

static void decode_paths(struct decode_input *input, int count, char **paths)
{
    if (count == 0)
        decode_path(input, "-");
    for (int i = 0; i < count && !input->unwritable; i++)
        decode_path(input, paths[i]);
    if (fflush(stdout) != 0)
        input->failed = true;
}

static int decode_all(int count, char **paths)
{
    struct decode_input input = {.window = malloc(DECODE_WINDOW), .text = malloc(DECODE_TEXT)};
    if (input.window == NULL || input.text == NULL) {
        fprintf(stderr, "btcast decode: out of memory\n");
        input.failed = true;
    } else {
        decode_paths(&input, count, paths);
    }
    free(input.window);
    free(input.text);
    return input.failed ? SERVICE_EXIT_FAILURE : 0;
}

static int decode_run(int argc, char **argv)
{
    int first = 1;
    for (; first < argc && argv[first][0] == '-' && argv[first][1] != '\0'; first++) {
        if (strcmp(argv[first], "--") != 0) {
            fprintf(stderr, "btcast decode: unknown option %s (`btcast help decode`)\n",
                    argv[first]);
            return SERVICE_EXIT_CONFIG;
        }
        first++;
        break;
    }
    return decode_all(argc - first, argv + first);
}

const struct command command_decode = {
    .name = "decode",
    .summary = "SBE frames and captures as JSON lines",
    .usage = "usage: btcast decode [FILE...|-]\n"
             "\n"
             "Prints one JSON object a line. A FILE holds one bare SBE frame or a btcast capture\n"
             "(one line a record then, ticks and control records too); - or nothing is standard\n"
             "input. Field names are the schema's; prices and quantities are exact decimal\n"
             "strings, ids and times integers (microseconds).\n"
             "\n"
             "Something malformed prints an object with `error`, `cause` and the byte `offset`,\n"
             "goes on with the next and makes the exit status 1.\n",
    .run = decode_run,
};
