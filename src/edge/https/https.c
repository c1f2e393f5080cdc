/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/https/https.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/check.h"

#define HTTPS_FIRST_ROOM  4096u
#define HTTPS_HEADERS_MAX 16
#define HTTPS_CONNECT_MS  5000L
#define HTTPS_ETAG_SIZE   128

struct https_call {
    bool used;
    CURL *easy;
    struct curl_slist *headers;
    uint8_t *request_body;
    https_fn fn;
    void *context;
    uint8_t *body;
    size_t size, room;
    bool too_large, no_memory;
    int64_t retry_after_s, used_weight, whole_size;
    char etag[HTTPS_ETAG_SIZE];
    int64_t started_us;
    char why[CURL_ERROR_SIZE];
};

struct https {
    CURLM *multi;
    struct loop *loop;
    int timer_fd;
    char ca_file[256];
    char user_agent[64];
    bool in_callback; /* libcurl calls us from inside itself: nothing is completed there */
    struct https_call calls[HTTPS_IN_FLIGHT_MAX];
};

static pthread_once_t https_once = PTHREAD_ONCE_INIT;

static void https_init_library(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* libcurl's codes in our words. */
static int https_code(const struct https_call *call, CURLcode code)
{
    if (call->too_large || code == CURLE_FILESIZE_EXCEEDED)
        return ERR_FULL;
    if (call->no_memory || code == CURLE_OUT_OF_MEMORY)
        return ERR_MEMORY;
    switch (code) {
    case CURLE_OK:
        return ERR_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ERR_INVALID;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
        return ERR_REFUSED;
    case CURLE_WEIRD_SERVER_REPLY:
        return ERR_MALFORMED;
    default:
        return ERR_CONNECTION;
    }
}

static void https_free(struct https *https, struct https_call *call)
{
    if (call->easy != NULL) {
        curl_multi_remove_handle(https->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    free(call->request_body);
    free(call->body);
    memset(call, 0, sizeof(*call));
}

/* The callback may send anew: the call's place is free by then. */
static void https_complete(struct https *https, struct https_call *call, int result,
                           const char *why)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    struct https_call done = *call;
    curl_multi_remove_handle(https->multi, call->easy);
    curl_easy_cleanup(call->easy);
    memset(call, 0, sizeof(*call));
    struct https_reply reply = {.result = result,
                                .why = why,
                                .status = result == ERR_OK ? (int)status : 0,
                                .body = bytes_of(done.body, done.size),
                                .retry_after_s = done.retry_after_s,
                                .used_weight = done.used_weight,
                                .etag = done.etag,
                                .whole_size = done.whole_size,
                                .duration_us = loop_mono_us() - done.started_us};
    if (done.fn != NULL)
        done.fn(done.context, &reply);
    curl_slist_free_all(done.headers);
    free(done.request_body);
    free(done.body);
}

static void https_collect(struct https *https)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(https->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct https_call *call = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        int result = https_code(call, message->data.result);
        char why[CURL_ERROR_SIZE];
        if (call->too_large)
            snprintf(why, sizeof(why), "the reply is larger than %u bytes", HTTPS_REPLY_MAX);
        else
            snprintf(why, sizeof(why), "%s",
                     call->why[0] != '\0' ? call->why : curl_easy_strerror(message->data.result));
        https_complete(https, call, result, result == ERR_OK ? "" : why);
    }
}

static void https_act(struct https *https, curl_socket_t fd, int what)
{
    int running;
    https->in_callback = true;
    curl_multi_socket_action(https->multi, fd, what, &running);
    https->in_callback = false;
    https_collect(https);
}

static void https_on_timer(void *context, uint32_t events)
{
    (void)events;
    struct https *https = context;
    uint64_t count;
    if (read(https->timer_fd, &count, sizeof(count)) > 0)
        https_act(https, CURL_SOCKET_TIMEOUT, 0);
}

/* One registration for each socket: libcurl needs to know which. */
struct https_socket {
    struct https *https;
    curl_socket_t fd;
};

static void https_on_socket(void *context, uint32_t events)
{
    struct https_socket *socket = context;
    int what = ((events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
               ((events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
    https_act(socket->https, socket->fd, what);
}

/* CURLMOPT_SOCKETFUNCTION. */
static int https_watch(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    (void)easy;
    struct https *https = context;
    struct https_socket *socket = known;
    if (what == CURL_POLL_REMOVE) {
        loop_remove(https->loop, fd);
        curl_multi_assign(https->multi, fd, NULL);
        free(socket);
        return 0;
    }
    if (socket == NULL) {
        socket = malloc(sizeof(*socket));
        if (socket == NULL)
            return -1;
        *socket = (struct https_socket){https, fd};
        curl_multi_assign(https->multi, fd, socket);
    }
    uint32_t events = ((what & CURL_POLL_IN) != 0 ? (uint32_t)EPOLLIN : 0u) |
                      ((what & CURL_POLL_OUT) != 0 ? (uint32_t)EPOLLOUT : 0u);
    if (loop_set(https->loop, fd, events, https_on_socket, socket) == ERR_OK)
        return 0;
    /* Without a place in the loop the call ends by its timeout. */
    curl_multi_assign(https->multi, fd, NULL);
    free(socket);
    return -1;
}

/* CURLMOPT_TIMERFUNCTION: a timer in the loop, so that no caller has to poll. */
static int https_arm(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct https *https = context;
    struct itimerspec at = {0};
    if (timeout_ms > 0) {
        at.it_value.tv_sec = timeout_ms / 1000;
        at.it_value.tv_nsec = (timeout_ms % 1000) * 1000000;
    } else if (timeout_ms == 0) {
        at.it_value.tv_nsec = 1; /* zero would disarm */
    }
    return timerfd_settime(https->timer_fd, 0, &at, NULL);
}

static bool https_reserve(struct https_call *call, size_t more)
{
    if (more > HTTPS_REPLY_MAX - call->size) {
        call->too_large = true;
        return false;
    }
    size_t room = call->room > 0 ? call->room : HTTPS_FIRST_ROOM;
    while (room < call->size + more)
        room *= 2;
    if (room == call->room)
        return true;
    uint8_t *body = realloc(call->body, room);
    call->no_memory = body == NULL;
    if (body == NULL)
        return false;
    call->body = body;
    call->room = room;
    return true;
}

static size_t https_take_body(char *data, size_t one, size_t size, void *context)
{
    (void)one;
    struct https_call *call = context;
    if (!https_reserve(call, size))
        return 0;
    if (size > 0)
        memcpy(call->body + call->size, data, size);
    call->size += size;
    return size;
}

/* The number behind `name:` in a header line, or as it was. */
static int64_t https_header_number(const char *line, size_t size, const char *name, int64_t before)
{
    size_t length = strlen(name);
    if (size <= length + 1 || strncasecmp(line, name, length) != 0 || line[length] != ':')
        return before;
    int64_t number = 0;
    size_t digits = 0;
    size_t at = length + 1;
    while (at < size && (line[at] == ' ' || line[at] == '\t'))
        at++;
    for (; at < size && line[at] >= '0' && line[at] <= '9' && digits < 15; at++, digits++)
        number = number * 10 + (line[at] - '0');
    return digits > 0 ? number : before;
}

/* The text behind `name:` without white space around it; false when it is another header. */
static bool https_header_text(const char *line, size_t size, const char *name, char *out,
                              size_t room)
{
    size_t at = strlen(name);
    if (size <= at || strncasecmp(line, name, at) != 0 || line[at] != ':')
        return false;
    for (at++; at < size && (line[at] == ' ' || line[at] == '\t');)
        at++;
    while (size > at && (line[size - 1] == '\r' || line[size - 1] == '\n' || line[size - 1] == ' '))
        size--;
    if (size - at < room)
        snprintf(out, room, "%.*s", (int)(size - at), line + at);
    return true;
}

/* "bytes 0-99/1234": the number behind the slash. */
static void https_take_range(struct https_call *call, const char *line, size_t size)
{
    char range[80] = "", *end = NULL;
    if (!https_header_text(line, size, "Content-Range", range, sizeof(range)))
        return;
    const char *slash = strchr(range, '/');
    long long whole = slash != NULL ? strtoll(slash + 1, &end, 10) : -1;
    if (end != NULL && end != slash + 1 && *end == '\0' && whole >= 0)
        call->whole_size = whole;
}

static size_t https_take_header(char *line, size_t one, size_t size, void *context)
{
    (void)one;
    struct https_call *call = context;
    call->retry_after_s = https_header_number(line, size, "Retry-After", call->retry_after_s);
    call->used_weight = https_header_number(line, size, "X-MBX-USED-WEIGHT-1M", call->used_weight);
    https_header_text(line, size, "ETag", call->etag, sizeof(call->etag));
    https_take_range(call, line, size);
    return size;
}

int https_check_url(const char *url, struct err *err)
{
    CURLU *parts = curl_url();
    bool scheme = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    bool good = scheme && parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK;
    curl_url_cleanup(parts);
    if (good)
        return ERR_OK;
    return err_set(err, ERR_CONFIG, "expected http://host or https://host, found \"%s\"", url);
}

int https_open(const struct https_options *options, struct loop *loop, struct https **out,
               struct err *err)
{
    if (options->ca_file != NULL && access(options->ca_file, R_OK) != 0)
        return err_set(err, ERR_CONFIG, "cannot read the certificates in \"%s\": %s",
                       options->ca_file, strerror(errno));
    pthread_once(&https_once, https_init_library);
    struct https *https = calloc(1, sizeof(*https));
    if (https == NULL)
        return err_set(err, ERR_MEMORY, "https: out of memory");
    https->loop = loop;
    snprintf(https->ca_file, sizeof(https->ca_file), "%s",
             options->ca_file != NULL ? options->ca_file : "");
    snprintf(https->user_agent, sizeof(https->user_agent), "%s",
             options->user_agent != NULL ? options->user_agent : "btcast/" BTCAST_VERSION);
    https->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    https->multi = curl_multi_init();
    int result = https->timer_fd < 0 || https->multi == NULL
                     ? err_set(err, ERR_IO, "https: %s", strerror(errno))
                     : loop_set(loop, https->timer_fd, EPOLLIN, https_on_timer, https);
    if (result != ERR_OK) {
        if (https->timer_fd >= 0)
            close(https->timer_fd);
        curl_multi_cleanup(https->multi);
        free(https);
        return result;
    }
    curl_multi_setopt(https->multi, CURLMOPT_SOCKETFUNCTION, https_watch);
    curl_multi_setopt(https->multi, CURLMOPT_SOCKETDATA, https);
    curl_multi_setopt(https->multi, CURLMOPT_TIMERFUNCTION, https_arm);
    curl_multi_setopt(https->multi, CURLMOPT_TIMERDATA, https);
    *out = https;
    return ERR_OK;
}

void https_close(struct https *https)
{
    if (https == NULL)
        return;
    for (int i = 0; i < HTTPS_IN_FLIGHT_MAX; i++) {
        struct https_call *call = &https->calls[i];
        if (!call->used)
            continue;
        https_fn fn = call->fn;
        void *context = call->context;
        https_free(https, call);
        /* Still counted as used, so that a callback cannot send on a closing client. */
        call->used = true;
        struct https_reply reply = {.result = ERR_CONNECTION,
                                    .why = "the client is closing",
                                    .retry_after_s = -1,
                                    .used_weight = -1,
                                    .etag = "",
                                    .whole_size = -1};
        if (fn != NULL)
            fn(context, &reply);
    }
    curl_multi_cleanup(https->multi);
    loop_remove(https->loop, https->timer_fd);
    close(https->timer_fd);
    free(https);
}

static bool https_set_headers(struct https_call *call, const struct https_request *request)
{
    for (int i = 0; request->headers != NULL && request->headers[i] != NULL; i++) {
        struct curl_slist *longer =
            i < HTTPS_HEADERS_MAX ? curl_slist_append(call->headers, request->headers[i]) : NULL;
        if (longer == NULL)
            return false;
        call->headers = longer;
    }
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
    return true;
}

static bool https_set_body(struct https_call *call, const struct https_request *request)
{
    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->body.size == 0) {
        if (strcmp(request->method, "POST") == 0)
            curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS, "");
        return true;
    }
    if (!request->keep_body) {
        call->request_body = malloc(request->body.size);
        if (call->request_body == NULL)
            return false;
        memcpy(call->request_body, request->body.data, request->body.size);
    }
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS,
                     request->keep_body ? request->body.data : call->request_body);
    return true;
}

static void https_set_options(struct https *https, struct https_call *call,
                              const struct https_request *request)
{
    CURL *easy = call->easy;
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->why);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, https->user_agent);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(request->timeout_us / CLOCK_US_PER_MS));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, HTTPS_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, https_take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, https_take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    if (https->ca_file[0] != '\0')
        curl_easy_setopt(easy, CURLOPT_CAINFO, https->ca_file);
}

int https_send(struct https *https, const struct https_request *request, https_fn fn, void *context)
{
    PRE(!https->in_callback && request->timeout_us > 0);
    struct https_call *call = NULL;
    for (int i = 0; i < HTTPS_IN_FLIGHT_MAX && call == NULL; i++)
        if (!https->calls[i].used)
            call = &https->calls[i];
    if (call == NULL)
        return ERR_AGAIN;
    *call = (struct https_call){.used = true,
                                .fn = fn,
                                .context = context,
                                .retry_after_s = -1,
                                .used_weight = -1,
                                .whole_size = -1,
                                .started_us = loop_mono_us()};
    call->easy = curl_easy_init();
    if (call->easy == NULL || !https_set_headers(call, request) || !https_set_body(call, request)) {
        https_free(https, call);
        return ERR_MEMORY;
    }
    https_set_options(https, call, request);
    if (curl_multi_add_handle(https->multi, call->easy) == CURLM_OK)
        return ERR_OK;
    https_free(https, call);
    return ERR_INVALID;
}

int https_do_work(struct https *https, int64_t mono_us)
{
    (void)mono_us; /* sockets and the timer are in the loop */
    https_collect(https);
    return 0;
}
