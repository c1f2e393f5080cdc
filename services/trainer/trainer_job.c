/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/trainer_job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/file/whole_file.h"

/* This very program, also when the file has been replaced since. */
#define TRAINER_JOB_SELF "/proc/self/exe"

void trainer_job_init(struct trainer_job *job, struct loop *loop, const char *file, int64_t nice)
{
    memset(job, 0, sizeof(*job));
    job->loop = loop;
    job->nice = nice;
    job->pipe_fd = -1;
    snprintf(job->file, sizeof(job->file), "%s", file);
}

void trainer_job_clear(struct trainer_job *job)
{
    job->size = 0;
}

int trainer_job_add(struct trainer_job *job, struct err *err, const char *format, ...)
{
    va_list list;
    size_t room = sizeof(job->text) - job->size;
    va_start(list, format);
    int size = vsnprintf(job->text + job->size, room, format, list);
    va_end(list);
    if (size < 0 || (size_t)size >= room)
        return err_set(err, ERR_FULL, "the command line of a training is too long");
    job->size += (size_t)size + 1;
    return ERR_OK;
}

bool trainer_job_recall(struct trainer_job *job)
{
    uint8_t *data;
    size_t size;
    if (whole_file_read(job->file, sizeof(job->text), &data, &size, NULL) != ERR_OK)
        return false;
    bool good = size > 0 && data[size - 1] == '\0';
    if (good) {
        memcpy(job->text, data, size);
        job->size = size;
    }
    free(data);
    return good;
}

static void trainer_job_read(void *context, uint32_t events)
{
    struct trainer_job *job = context;
    char buffer[1024];
    ssize_t size;
    (void)events;
    while ((size = read(job->pipe_fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t i = 0; i < size; i++) {
            if (buffer[i] != '\n') {
                if (job->part_size < sizeof(job->part) - 1)
                    job->part[job->part_size++] = buffer[i];
                continue;
            }
            job->part[job->part_size] = '\0';
            memcpy(job->line, job->part, job->part_size + 1);
            job->part_size = 0;
        }
    }
    if (size == 0)
        loop_remove(job->loop, job->pipe_fd);
}

/* In the new process; never returns. */
static void trainer_job_become(const struct trainer_job *job, int pipe_fd, pid_t parent)
{
    char *argv[TRAINER_JOB_WORDS_MAX + 3];
    char self[] = "btcast", train[] = "train";
    char text[TRAINER_JOB_TEXT_SIZE];
    int argc = 0;
    argv[argc++] = self;
    argv[argc++] = train;
    memcpy(text, job->text, job->size);
    for (size_t at = 0; at < job->size && argc < TRAINER_JOB_WORDS_MAX + 2;
         at += strlen(text + at) + 1)
        argv[argc++] = text + at;
    argv[argc] = NULL;
    signal(SIGPIPE, SIG_DFL);
    /* It dies with the service: two must never train in one folder. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    (void)setpriority(PRIO_PROCESS, 0, (int)job->nice);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    dup2(pipe_fd, STDERR_FILENO);
    execv(TRAINER_JOB_SELF, argv);
    _exit(127);
}

int trainer_job_start(struct trainer_job *job, struct err *err)
{
    int ends[2];
    int rc = whole_file_replace(job->file, bytes_of(job->text, job->size), err);
    if (rc != ERR_OK)
        return rc;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set(err, ERR_IO, "no pipe for a training: %s", strerror(errno));
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        trainer_job_become(job, ends[1], parent);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_set(err, ERR_IO, "no process for a training: %s", strerror(errno));
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    job->pid = pid;
    job->pipe_fd = ends[0];
    job->part_size = 0;
    job->line[0] = '\0';
    job->started_us = loop_wall_us();
    return loop_set(job->loop, ends[0], EPOLLIN, trainer_job_read, job);
}

void trainer_job_forget(struct trainer_job *job)
{
    unlink(job->file);
}

static void trainer_job_close(struct trainer_job *job)
{
    trainer_job_read(job, 0); /* its last words */
    loop_remove(job->loop, job->pipe_fd);
    close(job->pipe_fd);
    job->pipe_fd = -1;
    job->pid = 0;
}

bool trainer_job_ended(struct trainer_job *job, int *status)
{
    int word;
    if (job->pid == 0 || waitpid(job->pid, &word, WNOHANG) != job->pid)
        return false;
    *status = WIFEXITED(word) ? WEXITSTATUS(word) : 128 + WTERMSIG(word);
    trainer_job_close(job);
    if (*status == 0 || *status == 2)
        trainer_job_forget(job);
    return true;
}

void trainer_job_stop(struct trainer_job *job)
{
    if (job->pid == 0)
        return;
    kill(job->pid, SIGKILL); /* its state files are whole at any moment */
    (void)waitpid(job->pid, NULL, 0);
    trainer_job_close(job);
}
