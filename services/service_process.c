/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "services/service_probes.h"

/* From /proc/self/statm, 0 if it cannot be read. */
static int64_t service_resident_bytes(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*s %lld", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static int64_t service_open_files(void)
{
    int64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder itself */
}

static double service_cpu_seconds(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void service_add_gauge(struct text *out, const char *name, const char *kind,
                              const char *help, double value)
{
    text_add_format(out, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, kind, name);
    text_add_f64(out, value);
    text_add_char(out, '\n');
}

void service_process_metrics(int64_t started_wall_us, struct text *out)
{
    service_add_gauge(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
                      (double)service_resident_bytes());
    service_add_gauge(out, "process_cpu_seconds_total", "counter",
                      "User and system CPU time spent.", service_cpu_seconds());
    service_add_gauge(out, "process_open_fds", "gauge", "Open file descriptors.",
                      (double)service_open_files());
    service_add_gauge(out, "process_start_time_seconds", "gauge", "Start, in Unix time.",
                      (double)started_wall_us / 1e6);
}
