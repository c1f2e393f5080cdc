/* One call of the S3 engine and the request it is at. SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_EDGE_S3_S3_CALL_H
#define BTCAST_EDGE_S3_S3_CALL_H

#include <openssl/evp.h>

#include "base/prng.h"
#include "edge/file/sha256_hex.h"
#include "edge/https/https.h"
#include "edge/s3/s3_objects.h"
#include "edge/s3/sigv4.h"

#define S3_CALL_PARTS_MAX   10000
#define S3_CALL_ETAG_SIZE   80
#define S3_CALL_UPLOAD_SIZE 1024
#define S3_CALL_PATH_SIZE   512
#define S3_CALL_BUDGET_MAX  20.0

enum s3_kind { S3_PUT, S3_GET, S3_DROP, S3_LIST };

/* What the call does next, or waits for. */
enum s3_step {
    S3_STEP_READ,     /* reads and hashes the piece, then PUT or PART */
    S3_STEP_WHOLE,    /* PUT of the whole */
    S3_STEP_CREATE,   /* begins a multipart upload */
    S3_STEP_PART,     /* PUT of one part */
    S3_STEP_COMPLETE, /* makes the object of its parts */
    S3_STEP_ABORT,    /* takes an upload back; the result stands already */
    S3_STEP_PIECE,    /* GET of a range */
    S3_STEP_PLAIN,    /* GET of the whole (an empty object has no range) */
    S3_STEP_DROP,
    S3_STEP_PAGE,
    S3_STEP_DONE,
};

struct s3_call {
    struct s3_objects *objects;
    bool used, in_flight, replied;
    enum s3_kind kind;
    enum s3_step step;
    char key[OBJECT_KEY_SIZE];
    char path[S3_CALL_PATH_SIZE], partial[S3_CALL_PATH_SIZE + 8];
    object_done_fn done;
    object_list_fn entry;
    void *context;
    int tries, restarts;
    int64_t retry_us;
    int result;
    char text[256], cause[256]; /* cause: why an upload is taken back */

    int fd;
    uint64_t size, offset; /* of the file or object; of the piece */
    uint8_t *piece;
    size_t piece_size, piece_at;
    EVP_MD_CTX *hash;
    char sha256[SHA256_HEX_SIZE];
    char upload[S3_CALL_UPLOAD_SIZE];
    char (*etags)[S3_CALL_ETAG_SIZE];
    int part_count;
    char etag[S3_CALL_ETAG_SIZE]; /* of the object that is being read */
    char after[OBJECT_KEY_SIZE], token[S3_CALL_UPLOAD_SIZE];

    /* The reply to the last request. */
    int reply_result, status;
    int64_t retry_after_s, whole_size;
    char reply_etag[S3_CALL_ETAG_SIZE];
    uint8_t *body;
    size_t body_size;
};

struct s3_objects {
    struct https *https;
    struct s3_objects_options options;
    struct s3_target target;
    struct object_port port;
    struct s3_call calls[S3_OBJECTS_CALLS_MAX];
    struct prng prng;
    double budget; /* retries that may be spent */
    int64_t now_us;
    struct s3_objects_stats stats;
};

/* A request of the call: pairs of the query, headers beyond the signed ones. */
struct s3_request {
    const char *method;
    bool has_key; /* the path is the object's, else the bucket's */
    struct sigv4_pair query[6];
    int query_count;
    const char *headers[2]; /* "Name: value", NULL: none */
    struct bytes body;
    const char *sha256; /* of body */
};

/* Signs and sends; the reply is noted in the call. When it cannot be sent now it stays where it
 * is and is tried again. */
void s3_call_send(struct s3_call *call, const struct s3_request *request);
/* Judges the reply: ERR_OK; ERR_NOT_FOUND; ERR_AGAIN: try once more; else the failure, with
 * call->text set. */
int s3_call_judge(struct s3_call *call);
/* Plans another try, or returns false: no try or budget is left. */
bool s3_call_retry(struct s3_call *call);
/* Ends the call: it is answered by the next do_work. */
void s3_call_end(struct s3_call *call, int result);
void s3_call_free(struct s3_call *call);

/* True for what may name an object of ours: the characters of object_port.h, no empty part, no
 * "..". */
bool s3_objects_is_key(const char *key);

/* One turn of each kind; nothing is in flight. */
void s3_put_step(struct s3_call *call);
void s3_get_step(struct s3_call *call);
void s3_list_step(struct s3_call *call);

#endif
