/* SPDX-License-Identifier: Apache-2.0 */
#include "services/rest_settings.h"

#include <stdio.h>

#include "hot/state/state_keys.h"

int rest_settings_check(const struct rest_settings *settings, struct err *err)
{
    if (https_check_url(settings->url, err) != ERR_OK)
        return err_wrap(err, ERR_CONFIG, "rest_url");
    return ERR_OK;
}

int rest_settings_open(const struct rest_settings *settings, struct loop *loop, int64_t timeout_us,
                       struct https_rest *rest, struct err *err)
{
    struct https_options https = {.ca_file =
                                      settings->ca_file[0] != '\0' ? settings->ca_file : NULL,
                                  .user_agent = "btcast/" BTCAST_VERSION};
    int result = https_open(&https, loop, &rest->https, err);
    if (result != ERR_OK)
        return result;
    rest->base = settings->url;
    rest->timeout_us = timeout_us;
    return ERR_OK;
}

void rest_settings_silence(const struct redis_settings *redis, struct redis_link *link,
                           const char *symbol, struct redis_silence *silence)
{
    silence->link = link;
    if (redis->key_style == STATE_KEYS_HASHTAG)
        snprintf(silence->tag, sizeof(silence->tag), "%s", symbol);
}
