/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/text.h"
#include "edge/file/sha256_hex.h"
#include "hot/infer/model_watch.h"

#define REDIS_MODEL_KEY_SIZE (STATE_KEY_SIZE + MODEL_SHA256_SIZE)

struct redis_model_fetch {
    bool busy;
    char sha[MODEL_SHA256_SIZE];
    model_file_fn done;
    void *context;
};

struct redis_model {
    struct redis_link *link;
    char pointers[STATE_KEY_SIZE], artifact[STATE_KEY_SIZE], shadows[STATE_KEY_SIZE];
    char symbol[RECORD_SYMBOL_SIZE];
    model_pointer_fn pointed;
    void *pointed_context;
    bool looking;
    struct redis_model_fetch fetches[MODEL_ROLES];
};

int redis_model_open(struct redis_link *link, enum state_key_style style, const char *symbol,
                     struct redis_model **out, struct err *err)
{
    struct redis_model *model = calloc(1, sizeof(*model));
    if (model == NULL)
        return err_set(err, ERR_MEMORY, "model port");
    model->link = link;
    snprintf(model->symbol, sizeof(model->symbol), "%s", symbol);
    state_key(STATE_MODELS, style, symbol, model->pointers);
    state_key(STATE_MODEL, style, symbol, model->artifact);
    state_key(STATE_SHADOW, style, symbol, model->shadows);
    redis_link_bind(link, model->pointers);
    *out = model;
    return ERR_OK;
}

void redis_model_close(struct redis_model *model)
{
    free(model);
}

static void redis_model_pointed(void *context, int result, const redisReply *reply)
{
    struct redis_model *model = context;
    const char *sha[MODEL_ROLES];
    model->looking = false;
    if (result == ERR_OK && (reply->type != REDIS_REPLY_ARRAY || reply->elements != MODEL_ROLES))
        result = ERR_MALFORMED;
    for (int role = 0; role < MODEL_ROLES; role++) {
        const redisReply *value = result == ERR_OK ? reply->element[role] : NULL;
        sha[role] = value != NULL && value->type == REDIS_REPLY_STRING ? value->str : "";
    }
    model->pointed(model->pointed_context, result, sha);
}

int redis_model_pointer(struct redis_model *model, model_pointer_fn done, void *context)
{
    struct bytes argv[2 + MODEL_ROLES] = {BYTES_LITERAL("HMGET"), bytes_text(model->pointers)};
    if (model->looking)
        return ERR_AGAIN;
    for (int role = 0; role < MODEL_ROLES; role++)
        argv[2 + role] = bytes_text(model_role_name((enum model_role)role));
    model->pointed = done;
    model->pointed_context = context;
    int result = redis_link_send(model->link, argv, 2 + MODEL_ROLES, redis_model_pointed, model);
    model->looking = result == ERR_OK;
    return result;
}

static int redis_model_judge(const struct redis_model_fetch *fetch, const redisReply *reply,
                             struct bytes *file)
{
    char sha[SHA256_HEX_SIZE];
    if (reply->type == REDIS_REPLY_NIL)
        return ERR_NOT_FOUND;
    if (reply->type != REDIS_REPLY_STRING)
        return ERR_IO;
    if (reply->len > MODEL_WATCH_BYTES_MAX)
        return ERR_FULL;
    *file = bytes_of(reply->str, reply->len);
    sha256_hex(*file, sha);
    return strcmp(sha, fetch->sha) == 0 ? ERR_OK : ERR_CORRUPT;
}

static void redis_model_fetched(void *context, int result, const redisReply *reply)
{
    struct redis_model_fetch *fetch = context;
    struct bytes file = {NULL, 0};
    if (result == ERR_OK)
        result = redis_model_judge(fetch, reply, &file);
    fetch->busy = false;
    fetch->done(fetch->context, result, file);
}

static struct bytes redis_model_key(const struct redis_model *model, const char *sha,
                                    char key[REDIS_MODEL_KEY_SIZE])
{
    snprintf(key, REDIS_MODEL_KEY_SIZE, "%s:%s", model->artifact, sha);
    return bytes_text(key);
}

int redis_model_fetch(struct redis_model *model, const char *sha, model_file_fn done, void *context)
{
    struct redis_model_fetch *fetch = &model->fetches[0];
    char key[REDIS_MODEL_KEY_SIZE];
    for (int i = 1; fetch->busy && i < MODEL_ROLES; i++)
        fetch = &model->fetches[i];
    if (fetch->busy)
        return ERR_AGAIN;
    struct bytes argv[2] = {BYTES_LITERAL("GET"), redis_model_key(model, sha, key)};
    *fetch = (struct redis_model_fetch){.done = done, .context = context};
    snprintf(fetch->sha, sizeof(fetch->sha), "%s", sha);
    int result = redis_link_send(model->link, argv, 2, redis_model_fetched, fetch);
    fetch->busy = result == ERR_OK;
    return result;
}

/* Text values in one buffer, as arguments of one command. */
struct redis_model_words {
    struct bytes argv[32];
    int argc;
    struct text text;
    char buffer[1024];
};

static void redis_model_word(struct redis_model_words *words, const char *word)
{
    words->argv[words->argc++] = bytes_text(word);
}

/* value was written to words->text from start on. */
static void redis_model_value(struct redis_model_words *words, const char *name, size_t start)
{
    redis_model_word(words, name);
    words->argv[words->argc++] = bytes_of(words->buffer + start, words->text.size - start);
}

static void redis_model_number(struct redis_model_words *words, const char *name, uint64_t value)
{
    size_t start = words->text.size;
    text_add_u64(&words->text, value);
    redis_model_value(words, name, start);
}

static void redis_model_real(struct redis_model_words *words, const char *name, double value)
{
    size_t start = words->text.size;
    text_add_format(&words->text, "%.12g", value);
    redis_model_value(words, name, start);
}

static void redis_model_fields(struct redis_model_words *words, const struct redis_model *model,
                               const struct infer_shadow *shadow)
{
    double mid = decimal_to_f64(shadow->mid.mantissa, shadow->mid.exponent);
    redis_model_word(words, "symbol");
    redis_model_word(words, model->symbol);
    redis_model_word(words, "role");
    redis_model_word(words, "shadow");
    redis_model_word(words, "model_version");
    redis_model_word(words, model_version(shadow->model));
    redis_model_number(words, "slot", (uint64_t)shadow->slot);
    redis_model_number(words, "timestamp", (uint64_t)clock_slot_us(shadow->slot) / 1000);
    redis_model_real(words, "current_price", mid);
    redis_model_real(words, "predicted_price_10s", mid * exp(shadow->return_bp * 1e-4));
    redis_model_real(words, "return_bp", shadow->return_bp);
    redis_model_number(words, "ingest_epoch", shadow->epoch);
    redis_model_number(words, "seq", shadow->seq);
    redis_model_word(words, "mode");
    redis_model_word(words, shadow->live ? "live" : "stale");
}

int redis_model_shadow(struct redis_model *model, const struct infer_shadow *shadow)
{
    struct redis_model_words words = {.argc = 0};
    char limit[24], id[32];
    words.text = text_begin(words.buffer, sizeof(words.buffer));
    snprintf(limit, sizeof(limit), "%d", REDIS_MODEL_SHADOWS_MAX);
    snprintf(id, sizeof(id), "%lld-0", (long long)shadow->slot);
    redis_model_word(&words, "XADD");
    redis_model_word(&words, model->shadows);
    redis_model_word(&words, "MAXLEN");
    redis_model_word(&words, "~");
    redis_model_word(&words, limit);
    redis_model_word(&words, id);
    redis_model_fields(&words, model, shadow);
    return redis_link_send(model->link, words.argv, words.argc, NULL, NULL);
}

int redis_model_put(struct redis_model *model, struct bytes file, char sha[MODEL_SHA256_SIZE],
                    redis_reply_fn done, void *context)
{
    char key[REDIS_MODEL_KEY_SIZE], ttl[24];
    sha256_hex(file, sha);
    snprintf(ttl, sizeof(ttl), "%d", REDIS_MODEL_TTL_S);
    struct bytes argv[5] = {BYTES_LITERAL("SET"), redis_model_key(model, sha, key), file,
                            BYTES_LITERAL("EX"), bytes_text(ttl)};
    return redis_link_send(model->link, argv, 5, done, context);
}

int redis_model_point(struct redis_model *model, enum model_role role, const char *sha,
                      redis_reply_fn done, void *context)
{
    struct bytes argv[4] = {BYTES_LITERAL("HSET"), bytes_text(model->pointers),
                            bytes_text(model_role_name(role)), bytes_text(sha)};
    return redis_link_send(model->link, argv, 4, done, context);
}
