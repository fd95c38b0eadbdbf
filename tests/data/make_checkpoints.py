#!/usr/bin/env python3
"""Writes small checkpoints as PyTorch itself does, in its present format and in that of before 1.6, and one that would
run a command if Python loaded it. Needs PyTorch and NumPy (tests/reference/requirements.txt).
"""

import argparse
import collections
import os
import pathlib

import numpy
import torch

HERE = pathlib.Path(__file__).parent


class Command:
    def __reduce__(self):
        return os.system, ("touch executed",)


def training_state():
    weights = collections.OrderedDict()
    weights["conv.weight"] = torch.arange(6, dtype=torch.float32).reshape(3, 2).t()  # strided
    weights["bn.running_var"] = torch.arange(8, dtype=torch.float16)[2:5]  # part of a storage
    weights["bn.num_batches_tracked"] = torch.tensor(7)
    weights["fc.bias"] = torch.nn.Parameter(torch.tensor([0.5, -1.5], dtype=torch.bfloat16))
    return {
        "epoch": 3,
        "arch": "mine",
        "metric": numpy.float64(71.5),
        "args": argparse.Namespace(lr=0.1, data=pathlib.PosixPath("data")),
        "state_dict": weights,
    }


torch.save(training_state(), HERE / "checkpoint.pth")
# The file's name is part of the archive; of this length, some readers of zip archives take its end for its directory.
torch.save(training_state(), HERE / "an_archive_name_of_21.pth")
torch.save(training_state(), HERE / "checkpoint_before_1.6.pth", _use_new_zipfile_serialization=False)
torch.save({**training_state(), "hook": Command()}, HERE / "hostile.pth")
