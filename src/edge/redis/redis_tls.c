/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/redis/redis_tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct redis_tls_context {
    SSL_CTX *ctx;
};

struct redis_tls {
    SSL *ssl;
};

/* The newest reason of OpenSSL's queue, which is emptied. */
static const char *redis_tls_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    return text != NULL ? text : "connection closed";
}

static int redis_tls_load(SSL_CTX *ctx, const struct redis_tls_settings *settings, struct err *err)
{
    const char *key = settings->key_file[0] != '\0' ? settings->key_file : settings->cert_file;
    if (settings->ca_file[0] == '\0')
        SSL_CTX_set_default_verify_paths(ctx);
    else if (SSL_CTX_load_verify_locations(ctx, settings->ca_file, NULL) != 1)
        return err_set(err, ERR_CONFIG, "%s: no CA certificates: %s", settings->ca_file,
                       redis_tls_reason());
    if (settings->cert_file[0] == '\0')
        return ERR_OK;
    if (SSL_CTX_use_certificate_chain_file(ctx, settings->cert_file) != 1)
        return err_set(err, ERR_CONFIG, "%s: no certificate: %s", settings->cert_file,
                       redis_tls_reason());
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return err_set(err, ERR_CONFIG, "%s: no key of that certificate: %s", key,
                       redis_tls_reason());
    return ERR_OK;
}

int redis_tls_context_open(const struct redis_tls_settings *settings,
                           struct redis_tls_context **out, struct err *err)
{
    struct redis_tls_context *context = calloc(1, sizeof(*context));
    if (context != NULL)
        context->ctx = SSL_CTX_new(TLS_client_method());
    if (context == NULL || context->ctx == NULL) {
        free(context);
        return err_set(err, ERR_MEMORY, "TLS: out of memory");
    }
    SSL_CTX_set_min_proto_version(context->ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, NULL);
    /* A pipeline grows while its beginning is being written. */
    SSL_CTX_set_mode(context->ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    int result = redis_tls_load(context->ctx, settings, err);
    if (result != ERR_OK) {
        redis_tls_context_close(context);
        return result;
    }
    *out = context;
    return ERR_OK;
}

void redis_tls_context_close(struct redis_tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->ctx);
    free(context);
}

/* A number is looked for among the certificate's addresses, a name among its names; only
 * names are sent along (RFC 6066 section 3). */
static bool redis_tls_expect(SSL *ssl, const char *host)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return true;
    ERR_clear_error();
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int redis_tls_open(struct redis_tls_context *context, int fd, const char *host,
                   struct redis_tls **out, struct err *err)
{
    struct redis_tls *tls = calloc(1, sizeof(*tls));
    if (tls != NULL)
        tls->ssl = SSL_new(context->ctx);
    if (tls == NULL || tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1 ||
        !redis_tls_expect(tls->ssl, host)) {
        redis_tls_close(tls);
        return err_set(err, ERR_MEMORY, "TLS with %s: out of memory", host);
    }
    *out = tls;
    return ERR_OK;
}

void redis_tls_close(struct redis_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

int redis_tls_handshake(struct redis_tls *tls, uint32_t *events, struct err *err)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_connect(tls->ssl);
    if (result == 1)
        return ERR_OK;
    int code = SSL_get_error(tls->ssl, result);
    *events = code == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN;
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
        return ERR_AGAIN;
    long verdict = SSL_get_verify_result(tls->ssl);
    if (verdict != X509_V_OK)
        return err_set(err, ERR_CONNECTION, "TLS: the server's certificate: %s",
                       X509_verify_cert_error_string(verdict));
    return err_set(err, ERR_CONNECTION, "TLS: %s",
                   code == SSL_ERROR_SYSCALL && errno != 0 ? strerror(errno) : redis_tls_reason());
}

/* What a call that moved nothing means, in the words of send(2) and recv(2). */
static ssize_t redis_tls_outcome(struct redis_tls *tls, int result)
{
    int code = SSL_get_error(tls->ssl, result);
    if (code == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else if (code != SSL_ERROR_SYSCALL || errno == 0)
        errno = ECONNRESET;
    ERR_clear_error();
    return -1;
}

ssize_t redis_tls_write(struct redis_tls *tls, const void *data, size_t size)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_write(tls->ssl, data, size > INT_MAX ? INT_MAX : (int)size);
    return result > 0 ? result : redis_tls_outcome(tls, result);
}

ssize_t redis_tls_read(struct redis_tls *tls, void *data, size_t size)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_read(tls->ssl, data, size > INT_MAX ? INT_MAX : (int)size);
    return result > 0 ? result : redis_tls_outcome(tls, result);
}

bool redis_tls_pending(const struct redis_tls *tls)
{
    return SSL_pending(tls->ssl) > 0;
}
