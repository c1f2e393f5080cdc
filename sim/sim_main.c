/* btcast-sim: seeds through the simulation, one after the other or on several processes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sim/sim_jobs.h"
#include "sim/sim_report.h"

static const char sim_help[] =
    "btcast-sim: the whole system on a virtual clock, with seeded faults and checkers\n"
    "\n"
    "  btcast-sim --seed N [--trace]          one seed, with everything that happens\n"
    "  btcast-sim --seeds A..B [options]      many\n"
    "\n"
    "  --seconds N     virtual seconds of faults in a seed (default 60); 20 quiet ones follow\n"
    "  --for N         begins no seed after N real seconds\n"
    "  --jobs N        processes (default 1)\n"
    "  --no-faults     nothing goes wrong\n"
    "  --only NAME     aims this fault at every step\n"
    "  --stop          ends with the first seed that fails\n"
    "  --table         prints how often each fault has hit each step of a re-anchor\n"
    "  --json          the summary as one JSON object\n"
    "  --rules         lists the rules that are checked, --list the faults\n"
    "\n"
    "Exit status: 0 every rule held, 1 one was violated, 2 usage.\n";

static int sim_usage(const char *text, const char *value)
{
    fprintf(stderr, "btcast-sim: %s%s%s (--help)\n", text, value[0] != '\0' ? ": " : "", value);
    return 2;
}

static bool sim_number(const char *text, uint64_t *value, const char **end)
{
    char *stop;
    if (text[0] < '0' || text[0] > '9')
        return false;
    *value = strtoull(text, &stop, 10);
    *end = stop;
    return true;
}

/* "7" or "1..100" */
static bool sim_range(const char *text, struct sim_jobs_options *options)
{
    const char *end;
    if (!sim_number(text, &options->first, &end))
        return false;
    options->last = options->first;
    if (*end == '\0')
        return true;
    return strncmp(end, "..", 2) == 0 && sim_number(end + 2, &options->last, &end) &&
           *end == '\0' && options->last >= options->first;
}

static bool sim_small(const char *text, int most, int *value)
{
    const char *end;
    uint64_t number;
    if (!sim_number(text, &number, &end) || *end != '\0' || number < 1 || number > (uint64_t)most)
        return false;
    *value = (int)number;
    return true;
}

struct sim_arguments {
    struct sim_jobs_options jobs;
    bool has_seeds, table, json;
};

/* One option with a value; 0, or the exit status. */
static int sim_option(struct sim_arguments *arguments, const char *name, const char *value)
{
    struct sim_jobs_options *jobs = &arguments->jobs;
    bool good = true;
    if (value == NULL)
        return sim_usage("a value is missing", name);
    if (strcmp(name, "--seed") == 0 || strcmp(name, "--seeds") == 0) {
        good = sim_range(value, jobs);
        arguments->has_seeds = true;
    } else if (strcmp(name, "--seconds") == 0) {
        good = sim_small(value, 3600, &jobs->seconds);
    } else if (strcmp(name, "--for") == 0) {
        good = sim_small(value, 86400, &jobs->for_s);
    } else if (strcmp(name, "--jobs") == 0) {
        good = sim_small(value, SIM_JOBS_MAX, &jobs->jobs);
    } else if (strcmp(name, "--only") == 0) {
        jobs->only = fault_find(value);
        good = jobs->only != FAULT_COUNT;
    } else {
        return sim_usage("unknown option", name);
    }
    return good ? 0 : sim_usage(name, value);
}

/* A word that stands alone: 1 taken, 0 not one, -1 all is done. */
static int sim_flag(struct sim_arguments *arguments, const char *name)
{
    if (strcmp(name, "--help") == 0) {
        fputs(sim_help, stdout);
        return -1;
    }
    if (strcmp(name, "--rules") == 0 || strcmp(name, "--list") == 0) {
        sim_report_list(strcmp(name, "--rules") == 0);
        return -1;
    }
    bool *flag = strcmp(name, "--trace") == 0   ? &arguments->jobs.trace
                 : strcmp(name, "--stop") == 0  ? &arguments->jobs.stop
                 : strcmp(name, "--table") == 0 ? &arguments->table
                 : strcmp(name, "--json") == 0  ? &arguments->json
                                                : NULL;
    if (strcmp(name, "--no-faults") == 0)
        arguments->jobs.faults = false;
    else if (flag == NULL)
        return 0;
    else
        *flag = true;
    return 1;
}

int main(int argc, char **argv)
{
    static struct sim_totals totals;
    struct sim_arguments arguments = {
        .jobs = {.seconds = 60, .jobs = 1, .faults = true, .only = FAULT_COUNT}};
    for (int i = 1; i < argc; i++) {
        int flag = sim_flag(&arguments, argv[i]);
        if (flag < 0)
            return 0;
        if (flag > 0)
            continue;
        int status = sim_option(&arguments, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (status != 0)
            return status;
        i++;
    }
    if (!arguments.has_seeds)
        return sim_usage("--seed or --seeds is needed", "");
    if (sim_jobs_run(&arguments.jobs, &totals) != 0)
        return 1;
    sim_report(&arguments.jobs, &totals, arguments.table, arguments.json);
    return totals.failures > 0;
}
