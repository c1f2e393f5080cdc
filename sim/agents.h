/* The real agents in simulated processes, wired as the services wire them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BTCAST_SIM_AGENTS_H
#define BTCAST_SIM_AGENTS_H

#include "base/bytes.h"
#include "hot/state/aggregator.h"
#include "sim/virtual_process.h"

struct ingest;
struct infer;
struct reanchor;
struct backfill;
struct lake_block;

extern const struct process_agent agent_ingestor, agent_aggregator, agent_reanchor, agent_inference,
    agent_gap, agent_archive, agent_poll;

/* From the exchange. */
void agent_ingestor_frame(void *agent, int line, struct bytes frame);
void agent_ingestor_opened(void *agent, int line);
void agent_ingestor_closed(void *agent, int line);

/* For the checkers. */
const struct ingest *agent_ingestor_ingest(const void *agent);
const struct aggregator *agent_aggregator_of(const void *agent);
const struct lake_block *agent_archive_blocks(const void *agent);
const struct backfill *agent_poll_backfill(const void *agent);
const struct infer *agent_inference_of(const void *agent);

#endif
