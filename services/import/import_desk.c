/* SPDX-License-Identifier: Apache-2.0 */
#include "services/import/import_desk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/text.h"
#include "edge/file/whole_file.h"

#define IMPORT_DESK_WAIT_US  (60 * CLOCK_US_PER_S)
#define IMPORT_DESK_TURN_US  20000
#define IMPORT_DESK_SHOW_US  CLOCK_US_PER_S
#define IMPORT_DESK_NOTES    "notes"
#define IMPORT_DESK_HEAD     "btcast-import 1"
#define IMPORT_DESK_LINE_MAX 400

const char *import_desk_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* --- notes ------------------------------------------------------------------------------ */

static void import_desk_notes_path(const struct import_desk *desk, char *out)
{
    snprintf(out, LAKE_FILE_PATH_SIZE, "%s/" IMPORT_DESK_NOTES, desk->folder);
}

/* A line that is none ends the reading: what is not noted is done again, which changes nothing. */
static void import_desk_load(struct import_desk *desk)
{
    char path[LAKE_FILE_PATH_SIZE];
    uint8_t *data = NULL;
    size_t size = 0;
    import_desk_notes_path(desk, path);
    if (whole_file_read(path, (size_t)IMPORT_DESK_NOTES_MAX * IMPORT_DESK_LINE_MAX, &data, &size,
                        NULL) != ERR_OK)
        return;
    char *text = strndup((const char *)data, size), *rest = NULL;
    free(data);
    char *line = text != NULL ? strtok_r(text, "\n", &rest) : NULL;
    if (line != NULL && strcmp(line, IMPORT_DESK_HEAD) == 0)
        while ((line = strtok_r(NULL, "\n", &rest)) != NULL &&
               desk->note_count < IMPORT_DESK_NOTES_MAX) {
            struct import_note *note = &desk->notes[desk->note_count];
            if (sscanf(line, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %255[^\n]", &note->size,
                       &note->modified_us, &note->pieces, note->name) != 4)
                break;
            desk->note_count++;
        }
    free(text);
}

int import_desk_save(struct import_desk *desk, struct err *err)
{
    char path[LAKE_FILE_PATH_SIZE];
    const size_t room = (size_t)(desk->note_count + 1) * IMPORT_DESK_LINE_MAX;
    char *buffer = malloc(room);
    if (buffer == NULL)
        return err_set(err, ERR_MEMORY, "import notes");
    struct text text = text_begin(buffer, room);
    text_add(&text, IMPORT_DESK_HEAD "\n");
    for (int i = 0; i < desk->note_count; i++)
        text_add_format(&text, "%" PRId64 " %" PRId64 " %" PRId64 " %s\n", desk->notes[i].size,
                        desk->notes[i].modified_us, desk->notes[i].pieces, desk->notes[i].name);
    import_desk_notes_path(desk, path);
    int result = whole_file_replace(path, bytes_of(buffer, text.size), err);
    free(buffer);
    return result;
}

struct import_note *import_desk_note(struct import_desk *desk, const char *path, struct err *err)
{
    struct stat status;
    const char *name = import_desk_name(path);
    if (stat(path, &status) != 0) {
        (void)!err_set(err, lake_file_code(errno), "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (strlen(name) >= sizeof(desk->notes[0].name) || strchr(name, '\n') != NULL) {
        (void)!err_set(err, ERR_INVALID, "%.60s…: the name is too long", name);
        return NULL;
    }
    const int64_t modified_us =
        (int64_t)status.st_mtim.tv_sec * CLOCK_US_PER_S + status.st_mtim.tv_nsec / 1000;
    int index = 0;
    while (index < desk->note_count && strcmp(desk->notes[index].name, name) != 0)
        index++;
    if (index == IMPORT_DESK_NOTES_MAX) { /* the oldest one goes */
        memmove(&desk->notes[0], &desk->notes[1],
                (IMPORT_DESK_NOTES_MAX - 1) * sizeof(desk->notes[0]));
        index--;
    } else if (index == desk->note_count) {
        desk->note_count++;
        desk->notes[index].size = -1;
    }
    struct import_note *note = &desk->notes[index];
    if (note->size == status.st_size && note->modified_us == modified_us)
        return note;
    *note = (struct import_note){.size = status.st_size, .modified_us = modified_us};
    snprintf(note->name, sizeof(note->name), "%s", name);
    return note;
}

/* --- refused lines ---------------------------------------------------------------------- */

void import_desk_refuse(struct import_desk *desk, const char *path, uint64_t number,
                        const char *reason, struct bytes line)
{
    char kept[LAKE_FILE_PATH_SIZE];
    desk->totals.refused++;
    if (desk->refused == NULL) {
        snprintf(kept, sizeof(kept), "%s/quarantine/%s.rows", desk->folder, import_desk_name(path));
        if (lake_file_make_folders(kept, true, NULL) == ERR_OK)
            desk->refused = fopen(kept, "we");
        desk->refused_kept = 0;
    }
    if (desk->refused == NULL || desk->refused_kept++ >= IMPORT_DESK_REFUSED_MAX)
        return;
    fprintf(desk->refused, "%" PRIu64 ": %s: ", number, reason);
    fwrite(line.data, 1, line.size, desk->refused);
    fputc('\n', desk->refused);
}

void import_desk_refused_end(struct import_desk *desk)
{
    if (desk->refused != NULL)
        fclose(desk->refused);
    desk->refused = NULL;
}

/* --- the lake --------------------------------------------------------------------------- */

/* One turn; false when the lake has taken nothing for too long. */
static bool import_desk_turn(struct import_desk *desk, uint64_t *files, int64_t *moved_us)
{
    const int64_t now_us = loop_mono_us();
    if (lake_spool_do_work(desk->spool, now_us) == 0)
        loop_run_once(desk->loop, IMPORT_DESK_TURN_US);
    else
        loop_run_once(desk->loop, 0);
    if (lake_spool_files(desk->spool) != *files) {
        *files = lake_spool_files(desk->spool);
        *moved_us = now_us;
    }
    return now_us - *moved_us < IMPORT_DESK_WAIT_US;
}

static int import_desk_wait(struct import_desk *desk, bool empty, struct err *err)
{
    uint64_t files = lake_spool_files(desk->spool);
    int64_t moved_us = loop_mono_us();
    while (empty ? lake_spool_files(desk->spool) > 0 : lake_spool_full(desk->spool))
        if (!import_desk_turn(desk, &files, &moved_us))
            return err_set(err, ERR_CONNECTION,
                           "the lake takes nothing; %" PRIu64
                           " objects wait in %s/spool for the next import",
                           files, desk->folder);
    return ERR_OK;
}

int import_desk_add(struct import_desk *desk, const char *path, struct err *err)
{
    int result = lake_spool_add(desk->spool, path, err);
    if (result != ERR_OK)
        return result;
    desk->totals.objects++;
    lake_spool_do_work(desk->spool, loop_mono_us());
    loop_run_once(desk->loop, 0);
    return import_desk_wait(desk, false, err);
}

int import_desk_drain(struct import_desk *desk, struct err *err)
{
    return import_desk_wait(desk, true, err);
}

/* --- progress --------------------------------------------------------------------------- */

void import_desk_show(struct import_desk *desk, const char *path, uint64_t rows, uint64_t done,
                      uint64_t all)
{
    const int64_t now_us = loop_mono_us();
    if (desk->quiet || now_us - desk->shown_us < IMPORT_DESK_SHOW_US)
        return;
    desk->shown_us = now_us;
    const double seconds = (double)(now_us - desk->begun_us) / 1e6;
    const double share = all > 0 ? (double)done / (double)all : 0;
    fprintf(stderr, "%s  %" PRIu64 " rows  %.0f rows/s  %.0f %%", import_desk_name(path), rows,
            (double)rows / seconds, 100 * share);
    if (share > 0)
        fprintf(stderr, "  %.0f s left", seconds * (1 - share) / share);
    fputc('\n', stderr);
}

/* --- open and close --------------------------------------------------------------------- */

int import_desk_open(struct import_desk *desk, const struct import_desk_options *options,
                     struct err *err)
{
    char spool[LAKE_FILE_PATH_SIZE];
    snprintf(desk->symbol, sizeof(desk->symbol), "%s", options->symbol);
    desk->quiet = options->quiet;
    if (snprintf(desk->folder, sizeof(desk->folder), "%s/import", options->data) >=
        (int)sizeof(desk->folder))
        return err_set(err, ERR_CONFIG, "%.80s…: the path is too long", options->data);
    snprintf(spool, sizeof(spool), "%s/spool", desk->folder);
    int result = loop_open(&desk->loop, err);
    if (result == ERR_OK)
        result = connector_lake_open(&desk->lake, options->lake, desk->loop, err);
    if (result == ERR_OK)
        result = lake_spool_open(
            &(struct lake_spool_options){.folder = spool,
                                         .objects = connector_lake_port(&desk->lake)},
            &desk->spool, err);
    if (result == ERR_OK)
        result = archive_maker_open(&desk->maker, NULL, 0, desk->spool, err);
    if (result == ERR_OK)
        import_desk_load(desk);
    return result;
}

void import_desk_close(struct import_desk *desk)
{
    import_desk_refused_end(desk);
    if (desk->maker.session.api != NULL)
        archive_maker_close(&desk->maker);
    lake_spool_close(desk->spool);
    connector_lake_close(&desk->lake);
    if (desk->loop != NULL)
        loop_close(desk->loop);
}
