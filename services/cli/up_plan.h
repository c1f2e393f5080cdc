/* Which processes `btcast up` runs, with which command lines, in the order of their start.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SERVICES_CLI_UP_PLAN_H
#define BTCAST_SERVICES_CLI_UP_PLAN_H

#include "services/cli/up_child.h"
#include "services/cli/up_folder.h"
#include "services/cli/up_options.h"

/* redis, exchange-sim, postgres, db-migrate, sbe-ingestor, re-anchor-service, gap-detector,
 * rest-ingestor, data-connector, trainer, recorder, aggregators, replicas */
#define UP_CHILDREN_MAX (11 + UP_AGGREGATORS_MAX + UP_REPLICAS_MAX)

struct up_plan {
    struct up_child children[UP_CHILDREN_MAX];
    int count;
    bool has_sim; /* exchange-sim is the first behind a private Redis */
};

/* Children with names, ports and words. ERR_CONFIG when a command line is too long. */
int up_plan_make(const struct up_options *options, const struct up_folder *folder,
                 struct up_plan *plan, struct err *err) MUST_CHECK;
/* Asks for every port before anything starts: ERR_REFUSED "port 8085 (inference) is in use". */
int up_plan_check_ports(const struct up_plan *plan, struct err *err) MUST_CHECK;
/* "http://127.0.0.1:8085" lines: where to look. */
void up_plan_show(const struct up_options *options, const struct up_plan *plan,
                  const struct up_folder *folder);

#endif
