/* ONNX Runtime's C interface as far as a benchmark needs it, from the library inside the npm
 * package (tools/npm_peers.sh), which comes without a header. The interface is a table of
 * functions whose positions never change (new ones are appended); a result is compared with
 * ours before anything is measured. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_BENCH_ORT_PEER_H
#define BTCAST_BENCH_ORT_PEER_H

#include <dlfcn.h>
#include <glob.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef void (*ort_peer_any_fn)(void);

/* Positions in the table. */
enum ort_peer_function {
    ORT_PEER_GET_ERROR_MESSAGE = 2,
    ORT_PEER_CREATE_ENV = 3,
    ORT_PEER_CREATE_SESSION_FROM_ARRAY = 8,
    ORT_PEER_RUN = 9,
    ORT_PEER_CREATE_SESSION_OPTIONS = 10,
    ORT_PEER_SET_OPTIMIZATION = 23,
    ORT_PEER_SET_INTRA_THREADS = 24,
    ORT_PEER_CREATE_TENSOR = 49,
    ORT_PEER_CREATE_CPU_MEMORY = 69,
};

typedef void *(*ort_peer_run_fn)(void *session, const void *options, const char *const *input_names,
                                 const void *const *inputs, size_t input_count,
                                 const char *const *output_names, size_t output_count,
                                 void **outputs);

struct ort_peer {
    const ort_peer_any_fn *api;
    ort_peer_run_fn run;
    void *session, *input, *output;
    float x[512], y[16];
};

/* The newest installed library, or NULL. */
static void *ort_peer_library(void)
{
    char pattern[1024];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    snprintf(pattern, sizeof(pattern),
             "%s%s/btcast/npm/node_modules/onnxruntime-node/bin/napi-v*/linux/x64/"
             "libonnxruntime.so.1",
             cache != NULL  ? cache
             : home != NULL ? home
                            : "",
             cache != NULL ? "" : "/.cache");
    glob_t found;
    void *library = NULL;
    if (glob(pattern, 0, NULL, &found) == 0)
        library = dlopen(found.gl_pathv[found.gl_pathc - 1], RTLD_NOW | RTLD_LOCAL);
    globfree(&found);
    return library;
}

/* A status that is not NULL is an error. */
static bool ort_peer_ok(const struct ort_peer *peer, void *status)
{
    if (status != NULL)
        fprintf(stderr, "bench: ONNX Runtime: %s\n",
                ((const char *(*)(const void *))peer->api[ORT_PEER_GET_ERROR_MESSAGE])(status));
    return status == NULL;
}

static bool ort_peer_session(struct ort_peer *peer, const void *model, size_t size)
{
    void *env = NULL, *options = NULL;
    const ort_peer_any_fn *api = peer->api;
    return ort_peer_ok(peer, ((void *(*)(int, const char *, void **))api[ORT_PEER_CREATE_ENV])(
                                 3, "bench", &env)) &&
           ort_peer_ok(peer,
                       ((void *(*)(void **))api[ORT_PEER_CREATE_SESSION_OPTIONS])(&options)) &&
           ort_peer_ok(peer,
                       ((void *(*)(void *, int))api[ORT_PEER_SET_INTRA_THREADS])(options, 1)) &&
           ort_peer_ok(peer,
                       ((void *(*)(void *, int))api[ORT_PEER_SET_OPTIMIZATION])(options, 99)) &&
           ort_peer_ok(peer, ((void *(*)(const void *, const void *, size_t, const void *,
                                         void **))api[ORT_PEER_CREATE_SESSION_FROM_ARRAY])(
                                 env, model, size, options, &peer->session));
}

static bool ort_peer_tensor(struct ort_peer *peer, void *memory, float *data, int64_t columns,
                            void **tensor)
{
    const int64_t shape[] = {1, columns};
    return ort_peer_ok(peer,
                       ((void *(*)(const void *, void *, size_t, const int64_t *, size_t, int,
                                   void **))peer->api[ORT_PEER_CREATE_TENSOR])(
                           memory, data, (size_t)columns * sizeof(float), shape, 2, 1, tensor));
}

/* false: not installed (says so), or it refuses the model (says why). */
static bool ort_peer_open(struct ort_peer *peer, const void *model, size_t size, int inputs,
                          int outputs)
{
    struct ort_peer_base {
        const void *(*get_api)(uint32_t version);
        const char *(*version)(void);
    };
    void *library = ort_peer_library();
    const struct ort_peer_base *(*get_base)(void) = NULL;
    if (library != NULL)
        *(void **)&get_base = dlsym(library, "OrtGetApiBase");
    if (get_base == NULL) {
        fprintf(stderr, "bench: ONNX Runtime is not installed (tools/npm_peers.sh)\n");
        return false;
    }
    peer->api = get_base()->get_api(1);
    if (peer->api == NULL)
        return false;
    peer->run = (ort_peer_run_fn)peer->api[ORT_PEER_RUN];
    void *memory = NULL;
    return ort_peer_session(peer, model, size) &&
           ort_peer_ok(peer, ((void *(*)(int, int, void **))peer->api[ORT_PEER_CREATE_CPU_MEMORY])(
                                 0, 0, &memory)) &&
           ort_peer_tensor(peer, memory, peer->x, inputs, &peer->input) &&
           ort_peer_tensor(peer, memory, peer->y, outputs, &peer->output);
}

/* peer->x -> peer->y. */
static bool ort_peer_run(struct ort_peer *peer, const char *input, const char *output)
{
    const void *const inputs[] = {peer->input};
    return peer->run(peer->session, NULL, &input, inputs, 1, &output, 1, &peer->output) == NULL;
}

#endif
