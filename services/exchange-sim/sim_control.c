/* The control requests of a WebSocket connection: SUBSCRIBE, UNSUBSCRIBE,
 * LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY (BINANCE.md section 3).
 * SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <string.h>

#include "services/exchange-sim/sim_client.h"

/* Longest id given as text. */
#define CONTROL_ID_MAX    36
#define CONTROL_REPLY_MAX (SIM_CONTROL_MAX + 4096u)

struct control {
    struct sim_client *client;
    const json_t *params;
    const json_t *id;
    struct text reply;
};

static bool control_id_ok(const json_t *id)
{
    if (!id || json_is_null(id) || json_is_integer(id))
        return true;
    return json_is_string(id) && json_string_length(id) <= CONTROL_ID_MAX;
}

static void control_add_id(struct control *control)
{
    text_add(&control->reply, ",\"id\":");
    if (json_is_integer(control->id))
        text_add_i64(&control->reply, json_integer_value(control->id));
    else if (json_is_string(control->id))
        text_add_json_string(&control->reply, json_string_value(control->id),
                             json_string_length(control->id));
    else
        text_add(&control->reply, "null");
    text_add_char(&control->reply, '}');
}

static void control_refuse(struct control *control, int code, const char *reason)
{
    control->reply.size = 0;
    text_add_format(&control->reply, "{\"code\":%d,\"msg\":\"Invalid request: %s\"", code, reason);
    control_add_id(control);
}

static void control_result(struct control *control, const char *result)
{
    text_add_format(&control->reply, "{\"result\":%s", result);
    control_add_id(control);
}

static bool control_names_ok(const struct control *control)
{
    size_t count = json_array_size(control->params);
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(control->params, i);
        size_t size = json_is_string(name) ? json_string_length(name) : 0;
        if (size == 0 || size >= SIM_STREAM_NAME_SIZE)
            return false;
    }
    return count > 0;
}

static void control_subscribe(struct control *control)
{
    size_t count = json_array_size(control->params);
    if (!control_names_ok(control)) {
        control_refuse(control, 2, "params must be a non-empty array of stream names");
        return;
    }
    if ((size_t)control->client->name_count + count > SIM_SUBSCRIPTIONS_MAX) {
        control_refuse(control, 2, "too many streams");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        int rc = sim_client_subscribe(control->client,
                                      json_string_value(json_array_get(control->params, i)));
        if (rc != ERR_OK) {
            control_refuse(control, 2, "bad stream name");
            return;
        }
    }
    control_result(control, "null");
}

static void control_unsubscribe(struct control *control)
{
    if (!control_names_ok(control)) {
        control_refuse(control, 2, "params must be a non-empty array of stream names");
        return;
    }
    for (size_t i = 0; i < json_array_size(control->params); i++)
        sim_client_unsubscribe(control->client,
                               json_string_value(json_array_get(control->params, i)));
    control_result(control, "null");
}

static void control_list(struct control *control)
{
    text_add(&control->reply, "{\"result\":[");
    for (int i = 0; i < control->client->name_count; i++) {
        const char *name = control->client->names[i];
        if (i)
            text_add_char(&control->reply, ',');
        text_add_json_string(&control->reply, name, strlen(name));
    }
    text_add_char(&control->reply, ']');
    control_add_id(control);
}

static void control_property(struct control *control, bool set)
{
    const char *name = json_string_value(json_array_get(control->params, 0));
    const json_t *value = json_array_get(control->params, 1);
    if (!name || strcmp(name, "combined") != 0 || (set && !json_is_boolean(value))) {
        control_refuse(control, 2, "unknown property");
        return;
    }
    if (set)
        control->client->options.combined = json_is_true(value);
    control_result(control, set ? "null" : control->client->options.combined ? "true" : "false");
}

static void control_do(struct control *control, const char *method)
{
    if (!control_id_ok(control->id)) {
        control->id = NULL;
        control_refuse(control, 2, "id must be an integer, a short string or null");
    } else if (!method) {
        control_refuse(control, 2, "method is missing");
    } else if (strcmp(method, "SUBSCRIBE") == 0) {
        control_subscribe(control);
    } else if (strcmp(method, "UNSUBSCRIBE") == 0) {
        control_unsubscribe(control);
    } else if (strcmp(method, "LIST_SUBSCRIPTIONS") == 0) {
        control_list(control);
    } else if (strcmp(method, "SET_PROPERTY") == 0) {
        control_property(control, true);
    } else if (strcmp(method, "GET_PROPERTY") == 0) {
        control_property(control, false);
    } else {
        control_refuse(control, 2, "unknown method");
    }
}

void sim_client_request(struct sim_client *client, struct bytes json)
{
    static char buffer[CONTROL_REPLY_MAX]; /* one thread serves clients */
    json_t *request = json_loadb((const char *)json.data, json.size, 0, NULL);
    struct control control = {.client = client,
                              .params = json_object_get(request, "params"),
                              .id = json_object_get(request, "id"),
                              .reply = text_begin(buffer, sizeof(buffer))};
    if (json_is_object(request))
        control_do(&control, json_string_value(json_object_get(request, "method")));
    else
        control_refuse(&control, 3, "not a JSON object");
    sim_client_send(client, SIM_TEXT, bytes_of(control.reply.at, control.reply.size));
    json_decref(request);
}
