#!/usr/bin/env python3
"""The peer of bench_train: the same net, AdamW, one thread, in PyTorch. Prints
`name<TAB>value<TAB>unit` lines; exit status 3 without PyTorch.

SPDX-License-Identifier: Apache-2.0"""
import statistics
import sys
import time

try:
    import torch
except ImportError:
    sys.exit(3)

ROWS, ROUNDS = 100_000, 5


def epoch(net, optimizer, x, y, size):
    order = torch.randperm(ROWS)
    loss_of = torch.nn.MSELoss()
    start = time.perf_counter()
    done = 0
    while done + size <= ROWS:
        rows = order[done:done + size]
        optimizer.zero_grad(set_to_none=True)
        loss_of(net(x[rows]), y[rows]).backward()
        optimizer.step()
        done += size
    return done / (time.perf_counter() - start) / 1e6


def main():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    x, y = torch.randn(ROWS, 32), torch.randn(ROWS, 1)
    for size in (64, 256, 1024):
        net = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 32),
                                  torch.nn.ReLU(), torch.nn.Linear(32, 1))
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
        rates = [epoch(net, optimizer, x, y, size) for _ in range(ROUNDS)]
        print(f"train.torch_batch_{size}\t{statistics.median(rates):.3f}\tM samples/s", flush=True)


if __name__ == "__main__":
    main()
