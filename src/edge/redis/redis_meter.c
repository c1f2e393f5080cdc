/* What a link shows of itself: metrics, beside struct redis_link_stats.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "edge/redis/redis_link_self.h"

void redis_meter_open(struct redis_link *link, struct metrics *metrics)
{
    char labels[METRICS_LABELS_SIZE];
    snprintf(labels, sizeof(labels), "link=\"%s\"", link->options.name);
    link->metrics.connected =
        metrics_gauge(metrics, "redis_link_connected", labels, "1 while the Redis server answers.");
    link->metrics.losses = metrics_counter(metrics, "redis_link_losses_total", labels,
                                           "Redis connections lost, timeouts included.");
    link->metrics.timeouts = metrics_counter(metrics, "redis_link_timeouts_total", labels,
                                             "Redis replies that did not come in time.");
    link->metrics.refused =
        metrics_counter(metrics, "redis_link_refused_total", labels,
                        "Redis commands not accepted: not connected, or too much in flight.");
    link->metrics.reconnects = metrics_counter(metrics, "redis_link_reconnects_total", labels,
                                               "Connections to Redis after the first.");
    link->metrics.failovers =
        metrics_counter(metrics, "redis_link_failovers_total", labels,
                        "Connections to another Redis server than the one before.");
    link->metrics.redirects =
        metrics_counter(metrics, "redis_link_redirects_total", labels,
                        "Replies that send elsewhere: MOVED, ASK, TRYAGAIN, READONLY and such.");
    link->metrics.script_reloads =
        metrics_counter(metrics, "redis_link_script_reloads_total", labels,
                        "Scripts sent again because the server had forgotten them.");
}

void redis_meter_loss(struct redis_link *link, bool was_up, int code)
{
    if (!was_up) {
        link->stats.failures++;
        return;
    }
    link->stats.losses++;
    link->stats.timeouts += code == ERR_TIMEOUT;
    if (link->metrics.losses != NULL) {
        metric_add(link->metrics.losses, 1);
        metric_add(link->metrics.timeouts, code == ERR_TIMEOUT);
    }
}
