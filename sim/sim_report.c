/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim_report.h"

#include <stdio.h>
#include <string.h>

void sim_report_list(bool rules)
{
    for (int i = 0; rules && i < CHECK_RULES; i++)
        printf("%-18s %s\n", check_rule_name((enum check_rule)i),
               check_rule_text((enum check_rule)i));
    for (int i = 0; !rules && i < FAULT_COUNT; i++)
        printf("%-22s %s\n", fault_name((enum fault_kind)i), fault_text((enum fault_kind)i));
}

/* What the program was built from; unknown outside of a checkout. */
static const char *sim_report_commit(void)
{
    static char commit[48];
    FILE *git = popen("git -C " BTCAST_SOURCE_DIR " describe --always --dirty 2>/dev/null", "r");
    if (git == NULL || fgets(commit, sizeof(commit), git) == NULL)
        snprintf(commit, sizeof(commit), "unknown");
    if (git != NULL)
        pclose(git);
    commit[strcspn(commit, "\n")] = '\0';
    return commit;
}

void sim_report_failure(const struct sim_jobs_options *options, uint64_t seed,
                        const struct simulation_result *result)
{
    const struct check_failure *failure = &result->failure;
    printf("seed %llu FAILED %s at %.6f s: %s\n", (unsigned long long)seed,
           check_rule_name(failure->rule), (double)failure->at_us / 1e6, failure->text);
    printf("  commit %s; to see it again: btcast-sim --seed %llu --seconds %d%s%s%s --trace\n",
           sim_report_commit(), (unsigned long long)seed, options->seconds,
           options->faults ? "" : " --no-faults", options->only == FAULT_COUNT ? "" : " --only ",
           options->only == FAULT_COUNT ? "" : fault_name(options->only));
    fflush(stdout);
}

static void sim_report_table(const struct sim_totals *totals)
{
    uint64_t least = UINT64_MAX;
    printf("%-22s", "fault \\ step");
    for (int step = 0; step < STEP_COUNT; step++)
        printf("%8s", anchor_step_name((enum anchor_step)step));
    printf("%10s\n", "elsewhere");
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
        printf("%-22s", fault_name((enum fault_kind)kind));
        for (int step = 0; step < STEP_COUNT; step++) {
            printf("%8llu", (unsigned long long)totals->hits[kind][step]);
            if (totals->hits[kind][step] < least)
                least = totals->hits[kind][step];
        }
        printf("%10llu\n", (unsigned long long)totals->hits[kind][STEP_COUNT]);
    }
    printf("least of all: %llu\n", (unsigned long long)least);
}

static void sim_report_text(const struct sim_totals *totals)
{
    printf("%llu seeds, %llu failed; %llu faults (at least %llu in a seed), %llu restarts\n",
           (unsigned long long)totals->seeds, (unsigned long long)totals->failures,
           (unsigned long long)totals->faults, (unsigned long long)totals->faults_least,
           (unsigned long long)totals->restarts);
    printf("%llu frames, %llu calls of the store, %llu flushes, %llu swaps, %llu predictions, "
           "%llu events; hash %016llx\n",
           (unsigned long long)totals->frames, (unsigned long long)totals->steps,
           (unsigned long long)totals->flushes, (unsigned long long)totals->swaps,
           (unsigned long long)totals->predictions, (unsigned long long)totals->events,
           (unsigned long long)totals->hash);
    for (int rule = 0; rule < CHECK_RULES; rule++)
        if (totals->by_rule[rule] > 0)
            printf("  %-18s violated by %llu seeds\n", check_rule_name((enum check_rule)rule),
                   (unsigned long long)totals->by_rule[rule]);
}

static void sim_report_json(const struct sim_totals *totals)
{
    printf("{\"seeds\":%llu,\"failures\":%llu,\"faults\":%llu,\"faults_least\":%llu,"
           "\"frames\":%llu,\"steps\":%llu,\"flushes\":%llu,\"swaps\":%llu,\"predictions\":%llu,"
           "\"hash\":\"%016llx\",\"rules\":{",
           (unsigned long long)totals->seeds, (unsigned long long)totals->failures,
           (unsigned long long)totals->faults, (unsigned long long)totals->faults_least,
           (unsigned long long)totals->frames, (unsigned long long)totals->steps,
           (unsigned long long)totals->flushes, (unsigned long long)totals->swaps,
           (unsigned long long)totals->predictions, (unsigned long long)totals->hash);
    for (int rule = 0; rule < CHECK_RULES; rule++)
        printf("%s\"%s\":%llu", rule == 0 ? "" : ",", check_rule_name((enum check_rule)rule),
               (unsigned long long)totals->by_rule[rule]);
    printf("}}\n");
}

void sim_report(const struct sim_jobs_options *options, const struct sim_totals *totals, bool table,
                bool json)
{
    (void)options;
    if (json)
        sim_report_json(totals);
    else
        sim_report_text(totals);
    if (table)
        sim_report_table(totals);
}
